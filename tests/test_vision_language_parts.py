"""Parts of WinCLIP, AnomalyCLIP and AnomalyGPT against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_images import context, image_set, train_images

from ltbench.methods.blocks import blending
from ltbench.methods.blocks.blending import seamless, with_foreign_patches
from ltbench.methods.errors import BadParameter
from ltbench.methods.language import encoder as encoders
from ltbench.methods.language import paths, states
from ltbench.methods.language.backbone import EncodedImages
from ltbench.methods.language.encoder import Encoder
from ltbench.methods.language.encoders.toy_vl import ToyText
from ltbench.methods.language.learned_prompts import LearnedPrompts, _drawn
from ltbench.methods.language.windows import drawn_references, harmonic_of, harmonic_over_windows
from ltbench.methods.training.pixel_losses import dice, focal
from ltbench.methods.training.schedules import warm_logarithm


@pytest.fixture(scope="module")
def toy() -> Encoder:
    return encoders.load("toy-vl")


def test_prompt_lists_have_the_papers_numbers() -> None:
    paper = states.sentences("bolt", states.WINCLIP_ABNORMAL, states.WINCLIP_TEMPLATES)
    normal = states.sentences("bolt", states.WINCLIP_NORMAL, states.WINCLIP_TEMPLATES)
    assert (len(states.WINCLIP_TEMPLATES), len(normal), len(paper)) == (22, 22 * 7, 22 * 4)
    assert len({*normal, *paper}) == 242
    assert len(states.ACCURATE_TEMPLATES) == 21
    assert len(set(states.ACCURATE_TEMPLATES)) == 20
    assert set(states.ACCURATE_TEMPLATES) < set(states.WINCLIP_TEMPLATES)
    assert len(states.sentences("bolt", states.ANOMALYGPT_NORMAL, states.ANOMALYGPT_TEMPLATES)) == 14
    assert len(states.sentences("bolt", states.ANOMALYGPT_ABNORMAL, states.ANOMALYGPT_TEMPLATES)) == 10
    assert "a blurry photo of the bolt without flaw." in normal


def test_a_class_prompt_is_the_direction_of_the_mean_text(toy: Encoder) -> None:
    pair = states.normal_and_abnormal(toy.text, "bolt", "anomalygpt")
    texts = states.sentences("bolt", states.ANOMALYGPT_ABNORMAL, states.ANOMALYGPT_TEMPLATES)
    total = sum(toy.text([text])[0] for text in texts)
    assert torch.allclose(pair[1], total / total.norm(), atol=1e-5)


def test_abnormality_is_a_two_way_softmax_of_cosines() -> None:
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    for angle in (0.1, 0.8, 1.4):
        vector = 7 * torch.tensor([np.cos(angle), np.sin(angle)])
        powers = np.exp(np.array([np.cos(angle), np.sin(angle)]) / 0.07)
        found = float(states.abnormality(vector, texts, 0.07))
        assert found == pytest.approx(powers[1] / powers.sum(), rel=1e-5)


@pytest.mark.parametrize(("side", "count"), [(1, 5), (2, 4), (3, 3), (5, 1)])
def test_the_harmonic_mean_runs_over_all_windows_that_cover_a_patch(side: int, count: int) -> None:
    scores = torch.rand(2, count, count, generator=torch.Generator().manual_seed(side)) + 0.01
    expected = np.empty((2, 5, 5))
    for image, row, column in np.ndindex(2, 5, 5):
        covering = [
            float(scores[image, top, left])
            for top in range(count)
            for left in range(count)
            if top <= row < top + side and left <= column < left + side
        ]
        expected[image, row, column] = len(covering) / sum(1 / score for score in covering)
    np.testing.assert_allclose(harmonic_over_windows(scores, side), expected, rtol=1e-6)


def test_harmonic_means_of_constants_are_these_and_zero_wins() -> None:
    constant = torch.full((1, 4, 4), 0.3)
    assert torch.allclose(harmonic_over_windows(constant, 2), torch.full((1, 5, 5), 0.3).double())
    assert torch.allclose(harmonic_of([constant, constant, constant]), constant.double())
    assert harmonic_of([torch.tensor([[[0.5]]]), torch.tensor([[[0.25]]])]).item() == pytest.approx(1 / 3)
    zero = constant.clone()
    zero[0, 0, 0] = 0
    found = harmonic_over_windows(zero, 2)
    assert (found[0, :2, :2] == 0).all()
    assert found[0, 3, 3] == pytest.approx(0.3)


def test_references_are_drawn_without_replacement_and_follow_the_seed() -> None:
    ids = np.array([0] * 9 + [1] * 2 + [4] * 5)
    drawn, short = drawn_references(ids, 4, np.random.default_rng(1))
    assert {class_id: len(images) for class_id, images in drawn.items()} == {0: 4, 1: 2, 4: 4}
    assert short == 1
    for class_id, images in drawn.items():
        assert len(set(images)) == len(images)
        assert (ids[images] == class_id).all()
    again, _ = drawn_references(ids, 4, np.random.default_rng(1))
    others = [drawn_references(ids, 4, np.random.default_rng(seed))[0] for seed in range(8)]
    assert all(np.array_equal(again[class_id], drawn[class_id]) for class_id in drawn)
    assert len({tuple(other[0]) for other in others}) > 1


def test_the_value_path_with_identity_weights_mixes_tokens_by_their_own_cosines() -> None:
    """With identity projections q = k = v = x, so that each head is softmax(x x' / sqrt(d)) x."""
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))

    class Identity:
        depth, grid = 3, 2

        def embed(self, pixels: torch.Tensor) -> torch.Tensor:
            return tokens

        def block(self, index: int, values: torch.Tensor) -> torch.Tensor:
            return 2 * values

        def value_attention(self, index: int, values: torch.Tensor) -> torch.Tensor:
            return paths.attention_among_values(values, 2)

    def mixed(values: torch.Tensor) -> torch.Tensor:
        heads = values.split(4, dim=-1)
        return torch.cat([torch.softmax(h @ h.transpose(1, 2) / 2, dim=-1) @ h for h in heads], dim=-1)

    _, streams = paths.walk(Identity(), tokens, (1,))  # type: ignore[arg-type]
    expected = 2 * tokens + mixed(2 * tokens) + mixed(4 * tokens)
    assert torch.allclose(streams[1, 2], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "depth", "expected"),
    [
        ("vvlast19.projected", 24, "vv5-23.projected"),
        ("vvlast19", 4, "vv1-3"),
        ("classlast", 12, "class11"),
        ("block1/4", 32, "block7"),
        ("block4/4.projected", 32, "block31.projected"),
        ("block1/4", 2, "block0"),
        ("block5/4", 8, "block5/4"),
        ("windows3", 8, "windows3"),
    ],
)
def test_names_relative_to_the_depth(name: str, depth: int, expected: str) -> None:
    assert paths.absolute(name, depth) == expected


def test_learned_prompts_have_the_papers_shapes_and_alone_have_gradients(toy: Encoder) -> None:
    torch.manual_seed(0)
    prompts = LearnedPrompts(toy.text, words=12, deep_blocks=9, deep_tokens=4)
    width = toy.text.width
    assert prompts.words.shape == (2, 12, width)
    assert {name: tuple(values.shape) for name, values in prompts.deep.items()} == {
        "1": (4, width), "2": (4, width)
    }  # fmt: skip
    texts = prompts()
    assert texts.shape == (2, toy.dim)
    assert torch.allclose(texts.norm(dim=1), torch.ones(2), atol=1e-5)
    (texts * torch.randn(2, toy.dim)).sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in prompts.parameters()
    )
    assert set(prompts.state_dict()) == {"words", "deep.1", "deep.2"}
    assert not any(parameter.requires_grad for parameter in toy.text.parameters())  # type: ignore[attr-defined]


@torch.no_grad()
def test_deep_tokens_stand_after_the_start_of_the_text(toy: Encoder) -> None:
    torch.manual_seed(0)
    tower = toy.text
    assert isinstance(tower, ToyText)
    prompts = LearnedPrompts(tower, words=5, deep_blocks=9, deep_tokens=4)
    for learned in prompts.parameters():
        learned.copy_(torch.randn_like(learned))
    written = tower.tokenize(["x x x x x object.", "x x x x x damaged object."])
    passed = tower.embed(written.ids)
    passed[:, 1:6] = prompts.words
    passed = passed + tower.positions[: passed.shape[1]]
    for index, block in enumerate(tower.blocks):
        if index > 0:
            passed[:, 1:5] = prompts.deep[str(index)]
        passed = block(passed, causal=True)
    # The text ends in "object", ".", end; "damaged" makes the second longer by one.
    read = torch.stack([passed[0, 8], passed[1, 9]])
    expected = tower.projection(tower.norm(read))
    assert torch.allclose(prompts(), expected / expected.norm(dim=1, keepdim=True), atol=1e-5)


def test_prompts_without_deep_tokens_and_prompts_that_are_too_long(toy: Encoder) -> None:
    assert len(LearnedPrompts(toy.text, words=5, deep_blocks=9, deep_tokens=0).deep) == 0
    with pytest.raises(BadParameter, match="tokens"):
        LearnedPrompts(toy.text, words=80, deep_blocks=1, deep_tokens=4)


def test_focal_and_dice_follow_their_formulas() -> None:
    draws = torch.Generator().manual_seed(1)
    abnormal = torch.rand(2, 3, 4, generator=draws, dtype=torch.float64) * 0.9 + 0.05
    maps = torch.stack([1 - abnormal, abnormal], dim=1)
    masks = torch.rand(2, 3, 4, generator=draws) > 0.6
    total = 0.0
    for image, row, column in np.ndindex(2, 3, 4):
        p = float(maps[image, int(masks[image, row, column]), row, column])
        total += -((1 - p) ** 2) * np.log(p)
    assert float(focal(maps, masks)) == pytest.approx(total / 24, abs=1e-4)
    overlap = [2 * float(abnormal[i][masks[i]].sum()) + 1 for i in range(2)]
    sizes = [float(abnormal[i].sum() + masks[i].sum()) + 1 for i in range(2)]
    expected = np.mean([1 - o / s for o, s in zip(overlap, sizes, strict=True)])
    assert float(dice(abnormal, masks)) == pytest.approx(expected)


def test_losses_vanish_for_the_truth_and_stay_finite_for_its_opposite() -> None:
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, :2] = True
    truth = torch.stack([(~masks).float(), masks.float()], dim=1)
    assert float(focal(truth, masks)) == pytest.approx(0, abs=1e-6)
    assert float(dice(truth[:, 1], masks)) == pytest.approx(0)
    wrong = truth.flip(1).requires_grad_()
    loss = focal(wrong, masks)
    loss.backward()
    assert torch.isfinite(loss)
    assert wrong.grad is not None
    assert torch.isfinite(wrong.grad).all()
    assert float(loss.detach()) > 5


def test_a_seamless_patch_has_the_border_of_its_place_and_its_own_second_differences_inside() -> None:
    draws = np.random.default_rng(0)
    patch, region = draws.uniform(0, 255, (2, 13, 15, 3))
    found = seamless(patch, region)
    border = np.ones((13, 15), bool)
    border[1:-1, 1:-1] = False
    np.testing.assert_allclose(found[border], region[border])

    def second(values: np.ndarray) -> np.ndarray:
        inside = values[1:-1, 1:-1]
        around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
        return 4 * inside - around

    # Four pixels inside, all steps to the neighbours are the patch's; nearer to the border, the region's.
    np.testing.assert_allclose(second(found)[3:-2, 3:-2], second(patch)[3:-2, 3:-2], atol=1e-8)
    np.testing.assert_allclose(second(found)[:2], second(region)[:2], atol=1e-8)
    np.testing.assert_allclose(second(found)[:, :2], second(region)[:, :2], atol=1e-8)


def test_blended_images_differ_only_where_the_mask_or_a_small_change_is() -> None:
    draws = np.random.default_rng(0)
    target, source = (
        draws.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8).repeat(16, axis=1).repeat(16, axis=2)
    )
    defects = 0
    for _ in range(10):
        blended = with_foreign_patches(target, source, draws, patches=2, least_change=20)
        change = np.abs(blended.pixels.astype(float) - target).mean(axis=2)
        assert (change[blended.mask] > 1).all()
        assert blended.mask.sum() <= (change > 1).sum() < 128 * 128 / 2
        defects += blended.mask.sum()
    assert defects > 0
    same = with_foreign_patches(target, source, np.random.default_rng(5), patches=2, least_change=20)
    again = with_foreign_patches(target, source, np.random.default_rng(5), patches=2, least_change=20)
    np.testing.assert_array_equal(same.pixels, again.pixels)


def test_blended_defects_are_as_large_and_as_many_as_the_authors_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their code with VisA's constants, 400 images: sides of 22 %, areas of 4.9 %, two patches in 47 %."""
    sides: list[tuple[float, float]] = []
    monkeypatch.setattr(
        blending,
        "seamless",
        lambda patch, place: sides.append(tuple((np.array(patch.shape[:2]) + 2) / 224)) or place,
    )
    pixels, draws = np.zeros((224, 224, 3), np.uint8), np.random.default_rng(0)
    for _ in range(400):
        with_foreign_patches(pixels, pixels, draws, patches=2, least_change=13.83)
    assert np.mean(sides) == pytest.approx(0.22, abs=0.02)
    assert np.prod(sides, axis=1).mean() == pytest.approx(0.049, abs=0.01)
    assert len(sides) / 400 == pytest.approx(1.47, abs=0.06)


def test_the_rate_rises_along_a_logarithm_and_falls_along_a_line() -> None:
    schedule = warm_logarithm(100, warm_up=10)
    assert schedule(0) == 1.0
    rising = [schedule(iteration) for iteration in (1, 2, 5, 10)]
    assert rising == pytest.approx([0.0, np.log10(2), np.log10(5), 1.0])
    assert [schedule(iteration) for iteration in (11, 56, 100)] == pytest.approx([1.0, 0.5, 1 / 90])


def test_pixels_of_no_image_set_have_the_features_of_one_that_has_them() -> None:
    images = image_set(train_images({"checks": 2}))
    encoded = EncodedImages("toy-vl", context(), ("block1/4", "classlast"))
    pixels = np.stack([images[0], images[1]])
    for ours, cached in zip(encoded.of_pixels(pixels), encoded.few(images, [0, 1]).maps, strict=True):
        assert torch.equal(ours, cached)


def test_a_backbone_that_knows_no_texts_is_refused() -> None:
    with pytest.raises(BadParameter, match="'desc' has no text encoder"):
        EncodedImages("desc", context(), ("desc",))


def test_learned_words_are_parameters_on_every_device() -> None:
    """A parameter that is moved is none any more, except onto the device where it is."""
    parameter = _drawn(2, 3, 4, device=torch.device("meta"))
    assert isinstance(parameter, torch.nn.Parameter)
    assert parameter.is_leaf
    assert parameter.device.type == "meta"
