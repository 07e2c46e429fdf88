"""Networks of the reconstruction hosts: sizes of the papers, which output rebuilds what, losses by loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.layers.uniad import ReconstructionTransformer
from ltbench.methods.reconstruction.hosting import Student
from ltbench.methods.reconstruction.hvq_student import HvqNetwork
from ltbench.methods.reconstruction.rd_student import RdNetwork, middle_grid
from ltbench.methods.reconstruction.token_students import DinomalyNetwork, InpNetwork, coherence_of
from ltbench.methods.reconstruction.uniad_student import UniadStudent


@pytest.fixture(autouse=True)
def _fixed_weights() -> None:
    torch.manual_seed(0)


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("build", "millions"),
    [
        (lambda: DinomalyNetwork(768, 2), 61.4),
        (lambda: InpNetwork(768, 2), 68.5),
        (lambda: RdNetwork((256, 512, 1024)), 83.8),
    ],
)
def test_networks_have_the_size_of_the_papers(build: Callable[[], Student], millions: float) -> None:
    with torch.device("meta"):
        assert parameters(build()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_hvq_of_fifteen_classes_has_the_size_of_the_paper() -> None:
    network = HvqNetwork(272, 14, 15)
    assert parameters(network) / 1e6 == pytest.approx(17.9, abs=0.05)
    codes = sum(buffer.numel() for name, buffer in network.named_buffers() if name.endswith("codes"))
    assert codes / 1e6 == pytest.approx(17.7, abs=0.05)


STUDENTS: dict[str, tuple[Callable[[], Student], list[tuple[int, ...]], tuple[int, int]]] = {
    "dinomaly": (lambda: DinomalyNetwork(12, 2, depth=4, heads=3), [(2, 12, 21)] * 2, (4, 4)),
    "dinomaly on a grid": (lambda: DinomalyNetwork(12, 1, depth=2, heads=3), [(2, 12, 4, 4)], (4, 4)),
    "inpformer": (lambda: InpNetwork(12, 2, depth=4, heads=3), [(2, 12, 21)] * 2, (4, 4)),
    "hvq": (
        lambda: HvqNetwork(5, 4, 3, width=16, heads=2, hidden=8, depth=3, codes=6),
        [(2, 5, 4, 4)],
        (4, 4),
    ),
    "uniad": (
        lambda: UniadStudent(
            ReconstructionTransformer(5, 9, width=8, heads=2, hidden=8, layers=1, dropout=0.0), 20.0, 1.0
        ),
        [(2, 5, 9, 9)],
        (9, 9),
    ),
    "rd": (
        lambda: RdNetwork((4, 6, 8), bottleneck_blocks=1, decoder_blocks=(1, 1, 1)),
        [(2, 4, 16, 16), (2, 6, 8, 8), (2, 8, 4, 4)],
        (8, 8),
    ),
}


@pytest.mark.parametrize("name", STUDENTS)
def test_no_gradient_reaches_the_teacher_and_all_of_the_student_learns(name: str) -> None:
    build, shapes, grid = STUDENTS[name]
    student = build().train()
    maps = tuple(torch.randn(shape).requires_grad_() for shape in shapes)
    ids = torch.tensor([0, 2])
    rebuilt = student(tuple(features.detach() for features in maps), ids)
    assert student.distance(rebuilt).shape == (2, *grid)
    for loss in (student.loss(rebuilt, 0.5), student.distance(rebuilt).sum() + rebuilt.extra):
        assert loss.ndim == 0
        assert loss.isfinite()
    targets = student(maps, ids).targets
    found = torch.autograd.grad(student.distance(rebuilt).sum(), targets, allow_unused=True)
    assert all(gradient is None for gradient in found)
    student.loss(student(maps, ids), 0.5).backward()
    idle = [key for key, weight in student.named_parameters() if weight.grad is None]
    assert idle == []


@pytest.mark.parametrize("name", STUDENTS)
def test_a_perfect_reconstruction_has_distance_zero(name: str) -> None:
    build, shapes, _ = STUDENTS[name]
    student = build().eval()
    rebuilt = student(tuple(torch.randn(shape) for shape in shapes), torch.tensor([0, 1]))
    perfect = type(rebuilt)(rebuilt.targets, rebuilt.targets, rebuilt.extra)
    assert student.distance(perfect).abs().max() < 1e-5


def test_the_last_half_of_the_decoder_rebuilds_the_shallow_group() -> None:
    network = DinomalyNetwork(8, 2, depth=4, heads=2).eval()
    maps = (torch.randn(1, 8, 9), torch.randn(1, 8, 9))
    tokens, outputs = network.bottleneck(((maps[0] + maps[1]) / 2).transpose(1, 2)), []
    for block in network.blocks:
        tokens = block(tokens)
        outputs.append(tokens)
    shallow, deep = network(maps).outputs
    torch.testing.assert_close(shallow.flatten(2), ((outputs[3] + outputs[2]) / 2).transpose(1, 2))
    torch.testing.assert_close(deep.flatten(2), ((outputs[1] + outputs[0]) / 2).transpose(1, 2))


def test_prefix_tokens_take_part_but_are_not_compared() -> None:
    network = DinomalyNetwork(8, 1, depth=1, heads=2).eval()
    maps = torch.randn(1, 8, 5 + 16)
    changed = maps.clone()
    changed[:, :, :5] += 1
    first, second = network((maps,)), network((changed,))
    assert torch.equal(first.targets[0], second.targets[0])
    assert not torch.allclose(first.outputs[0], second.outputs[0])
    inp = InpNetwork(8, 1, depth=1, heads=2).eval()
    assert torch.equal(inp((maps,)).outputs[0], inp((changed,)).outputs[0])


def test_mining_of_dinomaly_grows_over_the_ramp() -> None:
    network = DinomalyNetwork(8, 1, depth=1, heads=2, mining=0.9, mining_ramp=0.1).eval()
    maps = (torch.randn(2, 8, 16),)
    weight = network.blocks[0].mlp[1].weight

    def gradient(progress: float) -> torch.Tensor:
        return torch.autograd.grad(network.loss(network(maps), progress), weight)[0]

    plain = DinomalyNetwork(8, 1, depth=1, heads=2, mining=0.0).eval()
    plain.load_state_dict(network.state_dict())
    unmined = torch.autograd.grad(plain.loss(plain(maps), 1.0), plain.blocks[0].mlp[1].weight)[0]
    torch.testing.assert_close(gradient(0.0), unmined)
    assert torch.equal(gradient(0.1), gradient(1.0))
    assert not torch.allclose(gradient(0.05), gradient(0.1))


def test_coherence_is_the_distance_to_the_nearest_prototype() -> None:
    tokens, prototypes = torch.randn(2, 5, 4), torch.randn(2, 3, 4)
    distances = [
        min(1 - functional.cosine_similarity(tokens[b, t], p, dim=0).item() for p in prototypes[b])
        for b, t in np.ndindex(2, 5)
    ]
    assert coherence_of(tokens, prototypes).item() == pytest.approx(np.mean(distances), abs=1e-6)


def test_hvq_sees_features_through_the_codes_of_its_class_alone() -> None:
    network = HvqNetwork(5, 4, 2, width=16, heads=2, hidden=8, depth=2, codes=1).eval()
    first, second = torch.randn(1, 5, 4, 4), torch.randn(1, 5, 4, 4)
    ids = torch.tensor([1])
    # With a single code per level nothing of the image is left.
    torch.testing.assert_close(network((first,), ids).outputs[0], network((second,), ids).outputs[0])
    other = network((first,), torch.tensor([0])).outputs[0]
    assert not torch.allclose(other, network((first,), ids).outputs[0])


def test_hvq_begins_with_torchs_own_weights_and_layers_alike() -> None:
    network = HvqNetwork(5, 4, 2, width=64, heads=2, hidden=8, depth=2, codes=6)
    for layers in (network.encoder, network.decoder):
        for name, value in layers[0].named_parameters():
            assert torch.equal(value, layers[1].get_parameter(name)), name
    # Uniform within 1 / sqrt(fan-in): a deviation of 1 / sqrt(3 fan-in); biases, too.
    assert float(network.back.weight.detach().std()) == pytest.approx((3 * 128) ** -0.5, rel=0.1)
    assert float(network.embed.weight.detach().std()) == pytest.approx((3 * 5) ** -0.5, rel=0.1)
    assert not torch.equal(network.back.weight[0], network.back.weight[1])
    assert float(network.embed.bias.detach().abs().max()) > 0


def test_hvq_loss_is_the_squared_difference_and_a_quarter_of_the_commitments() -> None:
    network = HvqNetwork(5, 4, 2, width=16, heads=2, hidden=8, depth=2, codes=6).eval()
    maps, ids = (torch.randn(3, 5, 4, 4),), torch.tensor([0, 1, 1])
    commitments: list[torch.Tensor] = []
    for book in (network.top, *network.levels):
        book.register_forward_hook(lambda m, i, out: commitments.append(out[1]))
    rebuilt = network(maps, ids)
    squared = functional.mse_loss(rebuilt.outputs[0], maps[0])
    expected = squared + 0.25 * sum(part.mean() for part in commitments)
    assert len(commitments) == 3
    torch.testing.assert_close(network.loss(rebuilt, 0.0), expected)


def test_transport_adds_to_the_score_and_not_to_the_training() -> None:
    sizes = {"width": 16, "heads": 2, "hidden": 8, "depth": 2, "codes": 6}
    network = HvqNetwork(5, 4, 2, transport=80.0, **sizes).eval()
    rebuilt = network((torch.randn(2, 5, 4, 4),), torch.tensor([0, 1]))
    assert (network.scored(rebuilt) > network.distance(rebuilt)).all()
    assert network.train()((torch.randn(2, 5, 4, 4),), torch.tensor([0, 1])).added is None


def test_memory_of_rd_judges_patches_as_its_student_does() -> None:
    """Distance of two patches = mean over scales of 1 - cosine, where no map has to be resized."""
    maps = [torch.randn(2, width, 4, 4) for width in (3, 5, 7)]
    joined = functional.normalize(middle_grid(tuple(maps)), dim=1)
    found = 1 - (joined[0] * joined[1]).sum(dim=0)
    scales = [1 - functional.cosine_similarity(features[:1], features[1:], dim=1)[0] for features in maps]
    torch.testing.assert_close(found, torch.stack(scales).mean(dim=0))


def test_more_groups_than_blocks_are_refused() -> None:
    with pytest.raises(BadParameter, match="depth is 1"):
        DinomalyNetwork(8, 2, depth=1)


@pytest.mark.parametrize("side", [28, 10])
def test_reverse_distillation_says_which_grids_its_bottleneck_can_halve(side: int) -> None:
    network = RdNetwork((4, 6, 8), bottleneck_blocks=1, decoder_blocks=(1, 1, 1))
    maps = tuple(torch.rand(2, width, side >> level, side >> level) for level, width in enumerate((4, 6, 8)))
    with pytest.raises(BadParameter, match=f"side of {side}"):
        network(maps)


def test_rd_rebuilds_negative_features_only_where_the_maps_have_some() -> None:
    maps = tuple(torch.randn(2, channels, side, side) for channels, side in ((4, 8), (6, 4), (8, 2)))
    for signed in (False, True):
        network = RdNetwork((4, 6, 8), bottleneck_blocks=1, decoder_blocks=(1, 1, 1), signed=signed)
        assert all(bool((output < 0).any()) == signed for output in network(maps).outputs)
