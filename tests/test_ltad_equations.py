"""Equations (1) to (8) of LTAD against plain loops, and the parts of its two phases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ltbench.methods.errors import BadParameter
from ltbench.methods.language import encoder as encoders
from ltbench.methods.layers.uniad import feature_jitter
from ltbench.methods.ltad import LTAD
from ltbench.methods.ltad_parts import equations
from ltbench.methods.ltad_parts.detection import (
    SemanticHead,
    inverse_probability,
    mixed_features,
    shifted_classes,
)
from ltbench.methods.ltad_parts.names import FreeVectors, PseudoNames, starting_names
from ltbench.methods.ltad_parts.synthesis import Synthesis

B, T, D = 2, 3, 4
CHANNELS = (2, 3, 1)


@pytest.fixture(autouse=True)
def _fixed_draws() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def text() -> encoders.TextTower:
    return encoders.load("toy-vl").text


def pseudo_names(
    text: encoders.TextTower, classes: int = 3, length: int = 2, **changes: object
) -> PseudoNames:
    starts = starting_names(text, classes, init="word", word="object", length=length, class_names=None)
    fields = {"normal": ("a",), "abnormal": ("a broken",), **changes}
    return PseudoNames(text, starts, "object", **fields)  # type: ignore[arg-type]


def test_1_reconstruction_score_is_a_squared_distance() -> None:
    rebuilt, patches = torch.randn(B, T, 5), torch.randn(B, T, 5)
    found = equations.reconstruction_score(rebuilt, patches)
    for b, i in np.ndindex(B, T):
        expected = sum((float(rebuilt[b, i, c]) - float(patches[b, i, c])) ** 2 for c in range(5))
        assert float(found[b, i]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_2_projections_are_pooled_number_by_number_over_layers(pooling: equations.Pooling) -> None:
    head = SemanticHead(CHANNELS, D, "layerwise", pooling)
    patches = torch.randn(B, T, sum(CHANNELS))
    found = head(patches).detach()
    for b, i, d in np.ndindex(B, T, D):
        start, values = 0, []
        for layer, count in zip(head.layers, CHANNELS, strict=True):
            part = patches[b, i, start : start + count]
            values.append((layer.weight[d] @ part + layer.bias[d]).item())
            start += count
        expected = max(values) if pooling == "max" else sum(values) / len(values)
        assert float(found[b, i, d]) == pytest.approx(expected, abs=1e-5)


def test_without_layers_one_projection_takes_all_channels() -> None:
    head = SemanticHead(CHANNELS, D, "joint")
    patches = torch.randn(B, T, sum(CHANNELS))
    assert len(head.layers) == 1
    torch.testing.assert_close(head(patches), head.layers[0](patches))


@pytest.mark.parametrize("temperature", [1.0, 0.07])
def test_3_semantic_score_is_a_softmax_of_two_texts(temperature: float) -> None:
    projected, normal, abnormal = torch.randn(B, T, D), torch.randn(B, D), torch.randn(B, D)
    found = equations.semantic_score(projected, normal, abnormal, temperature)
    for b, i in np.ndindex(B, T):
        for_normal = math.exp(float(normal[b] @ projected[b, i]) / temperature)
        for_abnormal = math.exp(float(abnormal[b] @ projected[b, i]) / temperature)
        assert float(found[b, i]) == pytest.approx(for_abnormal / (for_normal + for_abnormal), rel=1e-4)
    assert found.min() >= 0
    assert found.max() <= 1


def test_4_classifiers_are_the_texts_of_prompts_with_names(text: encoders.TextTower) -> None:
    names = pseudo_names(text)
    normal, abnormal = names.classifiers()
    torch.testing.assert_close(normal, text(["a object object"] * 3))
    torch.testing.assert_close(abnormal, text(["a broken object object"] * 3))
    torch.testing.assert_close(names.prototypes(), text(["object object"] * 3))


def test_4_several_prompts_count_by_their_mean_text(text: encoders.TextTower) -> None:
    names = pseudo_names(text, abnormal=("a broken", "an abnormal"))
    expected = text(["a broken object object", "an abnormal object object"]).mean(dim=0)
    torch.testing.assert_close(names.classifiers()[1][0], expected)
    with pytest.raises(BadParameter, match="at least one"):
        pseudo_names(text, normal=())


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_4_names_have_the_length_that_is_asked_for(text: encoders.TextTower, length: int) -> None:
    names = pseudo_names(text, length=length)
    assert names.vectors.shape == (3 * length, text.width)
    torch.testing.assert_close(names.classifiers()[0][0], text([" ".join(["a", *["object"] * length])])[0])


def test_4_class_names_of_any_length_are_their_own_texts(text: encoders.TextTower) -> None:
    given = ("bolt", "metal_nut", "very long cable")
    starts = starting_names(text, 3, init="class_name", word="object", length=2, class_names=given)
    assert [len(start) for start in starts] == [1, 2, 3]
    names = PseudoNames(text, starts, "object", normal=("a",), abnormal=("a broken",))
    expected = text(["a bolt", "a metal nut", "a very long cable"])
    torch.testing.assert_close(names.classifiers()[0], expected)


def test_4_random_names_are_as_large_as_words_and_differ(text: encoders.TextTower) -> None:
    starts = torch.stack(starting_names(text, 50, init="random", word="object", length=4, class_names=None))
    word = text.embed(text.tokenize(["object"]).ids)[0, 1]
    assert float(starts.std()) == pytest.approx(float(word.std()), rel=0.05)
    assert torch.pdist(starts.flatten(1)).min() > 0.1


def test_5_the_score_adds_the_weighted_semantic_part() -> None:
    reconstruction, semantic = torch.rand(B, T), torch.rand(B, T)
    found = equations.anomaly_score(reconstruction, semantic, 300.0)
    for b, i in np.ndindex(B, T):
        expected = float(reconstruction[b, i]) + 300 * float(semantic[b, i])
        assert float(found[b, i]) == pytest.approx(expected, rel=1e-5)


def test_6_synthesis_loss_is_its_definition() -> None:
    synthetic = [torch.randn(B, T, count) for count in CHANNELS]
    real = [torch.randn(B, T, count) for count in CHANNELS]
    mean, log_variance = torch.randn(B, 5), torch.randn(B, 5)
    found = equations.synthesis_loss(synthetic, real, mean, log_variance, 0.5)
    square = 0.0
    for ours, theirs in zip(synthetic, real, strict=True):
        differences = [
            (float(a) - float(b)) ** 2 for a, b in zip(ours.flatten(), theirs.flatten(), strict=True)
        ]
        square += sum(differences) / len(differences) / len(CHANNELS)
    divergence = 0.0
    for b, p in np.ndindex(B, 5):
        mu, variance = float(mean[b, p]), math.exp(float(log_variance[b, p]))
        divergence += (mu**2 + variance - math.log(variance) - 1) / 2 / (B * 5)
    assert float(found) == pytest.approx(square + 0.5 * divergence, rel=1e-5)


def test_6_divergence_is_that_of_torch_and_never_negative() -> None:
    mean, log_variance = torch.randn(20, 6), torch.randn(20, 6)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean(dim=1)
    found = equations.divergence(mean, log_variance)
    torch.testing.assert_close(found, expected)
    assert (found >= 0).all()
    assert equations.divergence(torch.zeros(1, 6), torch.zeros(1, 6)) == 0


def test_6_divergence_pulls_codes_towards_the_standard_normal() -> None:
    mean = torch.full((1, 4), 2.0, requires_grad=True)
    log_variance = torch.full((1, 4), -3.0, requires_grad=True)
    nothing = [torch.zeros(1, 2, 3)]
    equations.synthesis_loss(nothing, nothing, mean, log_variance, 1.0).backward()
    # A step goes against the gradient: means shrink, too small variances grow.
    assert mean.grad is not None
    assert log_variance.grad is not None
    assert (mean.grad > 0).all()
    assert (log_variance.grad < 0).all()


def test_6_as_printed_the_divergence_has_no_gradient_on_the_mean() -> None:
    """KL(N(z^ - mu, sigma) || N(0, I)) with z^ = mu + sigma eps is one of sigma eps, whatever mu is."""
    mean, log_variance, noise = torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 5)
    mean.requires_grad_()
    sampled = mean + (log_variance / 2).exp() * noise
    (slope,) = torch.autograd.grad(equations.divergence(sampled - mean, log_variance).sum(), mean)
    assert slope.abs().max() < 1e-6
    (ours,) = torch.autograd.grad(equations.divergence(mean, log_variance).sum(), mean)
    torch.testing.assert_close(ours, mean.detach() / 5)


def test_7_reconstruction_loss_is_the_mean_squared_distance_of_patches() -> None:
    rebuilt, normal = torch.randn(B, T, 5), torch.randn(B, T, 5)
    expected = sum(float((rebuilt[b, i] - normal[b, i]).square().sum()) for b, i in np.ndindex(B, T)) / (
        B * T
    )
    assert float(equations.reconstruction_loss(rebuilt, normal)) == pytest.approx(expected, rel=1e-5)


def test_8_semantic_loss_is_a_binary_cross_entropy() -> None:
    normal, abnormal = torch.randn(B, T), torch.randn(B, T)
    positive = negative = 0.0
    for b, i in np.ndindex(B, T):
        positive -= math.log(1 / (1 + math.exp(-float(abnormal[b, i])))) / (B * T)
        negative -= math.log(1 - 1 / (1 + math.exp(-float(normal[b, i])))) / (B * T)
    both = equations.semantic_loss(normal, abnormal)
    assert float(both) == pytest.approx(positive + negative, rel=1e-5)
    printed = equations.semantic_loss(normal, abnormal, only_abnormal=True)
    assert float(printed) == pytest.approx(positive, rel=1e-5)


def test_gradients_reach_the_names_through_the_text_encoder_and_move_nothing_frozen(
    text: encoders.TextTower,
) -> None:
    names = pseudo_names(text)
    synthesis = Synthesis(5, encoders.load("toy-vl").dim, CHANNELS, grid=3, width=8)
    codes = torch.randn(2, 5)
    mean, log_variance = synthesis.encode(codes)
    synthetic = synthesis.decode(mean, log_variance, names.prototypes()[torch.tensor([0, 2])])
    real = [torch.randn_like(layer) for layer in synthetic]
    equations.synthesis_loss(synthetic, real, mean, log_variance, 1e-3).backward()
    assert names.vectors.grad is not None
    moved = names.vectors.grad.view(3, 2, -1).abs().sum(dim=(1, 2))
    # Class 1 is not in the batch.
    assert (moved > 0).tolist() == [True, False, True]
    assert all(parameter.grad is not None for parameter in synthesis.parameters())
    assert isinstance(text, torch.nn.Module)
    assert all(not weight.requires_grad and weight.grad is None for weight in text.parameters())


@pytest.mark.parametrize("grid", [3, 7, 14])
def test_the_decoder_makes_tokens_of_every_layer(grid: int) -> None:
    synthesis = Synthesis(5, 6, CHANNELS, grid=grid, width=8)
    made = synthesis.decode(*synthesis.encode(torch.randn(2, 5)), torch.randn(2, 6))
    assert [layer.shape for layer in made] == [(2, grid * grid, count) for count in CHANNELS]
    assert synthesis(torch.randn(2, 5), torch.randn(2, 6)).shape == (2, grid * grid, sum(CHANNELS))


def test_a_code_is_sampled_around_its_mean_and_an_autoencoder_samples_nothing() -> None:
    synthesis = Synthesis(4, 2, (3,), grid=3, width=8)
    seen: list[torch.Tensor] = []
    synthesis.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mean, log_variance = torch.tensor([[1.0, -2.0, 0.0, 3.0]]).expand(4000, -1), torch.full((4000, 4), -1.0)
    synthesis.decode(mean, log_variance, torch.ones(4000, 2))
    assert torch.allclose(seen[0][:, :4].mean(dim=0), mean[0], atol=0.05)
    assert torch.allclose(seen[0][:, :4].std(dim=0), torch.full((4,), math.exp(-0.5)), atol=0.05)
    assert (seen[0][:, 4:] == 1).all()
    plain = Synthesis(4, 2, (3,), grid=3, width=8, variational=False)
    code = torch.randn(2, 4)
    torch.testing.assert_close(plain(code, torch.randn(2, 2)), plain(code, torch.randn(2, 2)))


def test_pseudo_anomalies_add_noise_as_long_as_20_times_a_token_over_its_channels() -> None:
    patches = torch.randn(B, T, 5)
    scale = LTAD().jitter
    torch.manual_seed(3)
    found = feature_jitter(patches, scale)
    torch.manual_seed(3)
    noise = torch.randn(B, T, 5)
    for b, i, c in np.ndindex(B, T, 5):
        length = math.sqrt(sum(float(value) ** 2 for value in patches[b, i]))
        expected = float(patches[b, i, c]) + 20 * length / 5 * float(noise[b, i, c])
        assert float(found[b, i, c]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_features_are_real_with_the_probability_of_their_class() -> None:
    real, synthetic = torch.ones(4000, 2, 2), torch.zeros(4000, 2, 2)
    share = torch.tensor([0.25, 1.0]).repeat(2000)
    mixed = mixed_features(real, synthetic, share)
    assert (mixed.flatten(1).std(dim=1) == 0).all()
    assert mixed[::2].mean() == pytest.approx(0.25, abs=0.03)
    assert mixed[1::2].mean() == 1


def test_distribution_aware_shares_are_inverse_to_the_counts() -> None:
    ids = torch.tensor([0] * 8 + [1] * 2 + [2] * 4)
    synthetic = 1 - inverse_probability(ids, 3)
    assert synthetic.tolist() == [0.25, 1.0, 0.5]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_shuffled_names_are_never_a_class_own(classes: int) -> None:
    other = shifted_classes(classes, torch.randperm(classes))
    assert sorted(other.tolist()) == list(range(classes))
    assert all(index != number for index, number in enumerate(other.tolist()))


def test_without_a_text_encoder_every_class_has_vectors_of_its_own() -> None:
    free = FreeVectors(3, 7)
    assert free.prototypes().shape == (3, 7)
    assert {name for name, _ in free.named_parameters()} == {"prototype", "normal", "abnormal"}
    assert all(part.shape == (3, 7) for part in free.classifiers())
