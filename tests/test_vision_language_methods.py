"""WinCLIP, AnomalyCLIP and AnomalyGPT as methods: against slow recomputation from the encoder's parts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small_images import auxiliary_set, context, image_set, judged_images, train_images
from torch.nn import functional

from ltbench.benchmark import suites
from ltbench.methods import catalog
from ltbench.methods.anomalyclip import PAPER_BACKBONE, AnomalyCLIP, view_masks
from ltbench.methods.anomalygpt import AnomalyGPT, Decoder, decoder_loss
from ltbench.methods.base import Method, View
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.language import encoder as encoders
from ltbench.methods.language import states
from ltbench.methods.language.encoder import Encoder
from ltbench.methods.training.pixel_losses import dice, focal
from ltbench.methods.winclip import WinCLIP
from ltbench.splits.images import ImageSet

SIZES = {"stripes": 3, "checks": 2}


@pytest.fixture(scope="module")
def toy() -> Encoder:
    return encoders.load("toy-vl")


def fitted(method: Method, figures: dict[str, float] | None = None) -> Method:
    with torch.enable_grad():
        method.fit(image_set(train_images(SIZES), method.needs), context(figures=figures, needs=method.needs))
    return method


def judged(method: Method, count: int = 1) -> ImageSet:
    return image_set(judged_images(count), method.needs)


def features(toy: Encoder, images: ImageSet, index: int, layers: tuple[str, ...]) -> dict[str, torch.Tensor]:
    answers = toy.images(torch.from_numpy(images[index])[None].permute(0, 3, 1, 2), layers)
    return {name: values[0].half().double() for name, values in answers.items()}


def probability(vector: torch.Tensor, texts: torch.Tensor) -> float:
    cosines = functional.cosine_similarity(texts.double(), vector[None].double())
    return float(torch.softmax(cosines / 0.07, dim=0)[1])


def test_winclip_zero_shot_is_the_harmonic_mean_of_image_and_windows(toy: Encoder) -> None:
    method = fitted(WinCLIP(windows=(2, 3)))
    images = judged(method)
    prediction = method.score(images, context())
    for index in (0, 3):
        name = images.class_names[images.class_ids[index]]
        texts = states.normal_and_abnormal(toy.text, name, "winclip")
        maps = features(toy, images, index, ("windows2", "windows3"))
        whole = probability(maps["pooled"], texts)
        assert prediction.scores[index] == pytest.approx(whole, rel=1e-5)
        for row, column in ((0, 0), (5, 7), (13, 2)):
            parts = [whole]
            for side in (2, 3):
                covering = [
                    1 / probability(maps[f"windows{side}"][:, top, left], texts)
                    for top in range(max(0, row - side + 1), min(row, 14 - side) + 1)
                    for left in range(max(0, column - side + 1), min(column, 14 - side) + 1)
                ]
                parts.append(len(covering) / sum(covering))
            expected = 3 / sum(1 / part for part in parts)
            assert prediction.grids[index, row, column] == pytest.approx(expected, rel=1e-4)


def test_winclip_with_shots_adds_the_distance_to_the_references(toy: Encoder) -> None:
    """With every training image as a reference, so that the draw plays no part."""
    figures: dict[str, float] = {}
    method = fitted(WinCLIP(windows=(2,), shots=5), figures)
    images = judged(method)
    assert figures == {"references": 5.0, "classes_with_fewer_shots": 2.0}
    zero = fitted(WinCLIP(windows=(2,)))
    without = zero.score(judged(zero), context())
    found = method.score(images, context())
    few = found.grids - without.grids
    np.testing.assert_allclose(found.scores, (without.scores + few.max(axis=(1, 2))) / 2, atol=1e-5)

    index, row, column = 2, 0, 13
    train = image_set(train_images(SIZES), method.needs)
    same = [
        i
        for i in range(len(train))
        if train.class_names[train.class_ids[i]] == images.class_names[images.class_ids[index]]
    ]
    layers = ("windows2", "block3")
    query = features(toy, images, index, layers)
    distances = []
    for layer, place in (("windows2", (0, 12)), ("block3", (row, column))):
        vector = query[layer][:, place[0], place[1]]
        near = [
            functional.cosine_similarity(
                features(toy, train, i, layers)[layer].flatten(1).T, vector[None]
            ).max()
            for i in same
        ]
        distances.append((1 - max(float(value) for value in near)) / 2)
    # A corner lies under one window only.
    assert few[index, row, column] == pytest.approx(np.mean(distances), abs=1e-5)


def test_winclip_declares_what_it_uses() -> None:
    assert WinCLIP().needs == {"class_names", "class_ids_score"}
    assert WinCLIP(shots=1).needs == {"class_names", "class_ids_score", "class_ids_fit"}
    assert WinCLIP.needs == WinCLIP(shots=1).needs


def test_winclip_variants_ask_in_other_words() -> None:
    one, other = fitted(WinCLIP(windows=(2,))), fitted(WinCLIP(windows=(2,), variant="accurate"))
    images = judged(one)
    assert not np.allclose(one.score(images, context()).scores, other.score(images, context()).scores)


def test_classes_without_references_are_named() -> None:
    for method in (WinCLIP(windows=(2,), shots=1), AnomalyGPT(shots=1)):
        method.fit(image_set(train_images({"stripes": 2}), method.needs), context())
        with pytest.raises(MethodsError, match="class 'checks' has no training image"):
            method.score(judged(method), context())


@torch.no_grad()
def test_anomalyclip_compares_value_tokens_and_the_unnormalised_class_token(toy: Encoder) -> None:
    method = fitted(AnomalyCLIP(iterations=1, words=3))
    images = judged(method)
    prediction = method.score(images, context())
    tower = toy.transformer
    assert tower is not None
    for index in range(len(images)):
        maps = features(toy, images, index, ("vv1-3.projected", "class3"))
        first = tower.project(maps["class3"][:, 0, 0].float(), normalise=False)
        assert prediction.scores[index] == pytest.approx(probability(first, method._texts), rel=1e-4)
        patch = probability(maps["vv1-3.projected"][:, 4, 9], method._texts)
        assert prediction.grids[index, 4, 9] == pytest.approx(patch, rel=1e-4)
    assert prediction.post.sigma == pytest.approx(4 * 64 / 518)


def test_anomalyclip_learns_its_prompts_from_the_auxiliary_set_alone() -> None:
    figures: dict[str, float] = {}
    method = AnomalyCLIP(iterations=12, words=3, batch_size=4, learning_rate=0.01)
    given = context(figures=figures, needs=method.needs)
    other = AnomalyCLIP(iterations=12, words=3, batch_size=4, learning_rate=0.01)
    method.fit(image_set(train_images({"stripes": 1})), given)
    other.fit(image_set(train_images({"checks": 3})), context(needs=method.needs))
    assert torch.equal(method._texts, other._texts)
    start = AnomalyCLIP(iterations=1, words=3, batch_size=4, learning_rate=0.0)
    before: dict[str, float] = {}
    start.fit(image_set(train_images({"stripes": 1})), context(figures=before, needs=method.needs))
    assert figures["learn_prompts_loss"] < before["learn_prompts_loss"]


@pytest.mark.parametrize("suite", ["tailedcore-mvtec", "tailedcore-visa"])
def test_tailedcores_suites_ask_for_the_papers_encoders(suite: str) -> None:
    rows = {row.name: catalog.create(row.name, **row.fields) for row in suites.load(suite).methods}
    assert rows["anomalyclip"].backbone == PAPER_BACKBONE
    assert rows["anomalyclip"].auxiliary == {"tailedcore-mvtec": "visa"}.get(suite, "mvtec")
    assert (rows["winclip"].backbone, rows["winclip"].variant) == (
        "openclip:ViT-B-16-plus-240@laion400m_e31", "accurate"
    )  # fmt: skip


def test_anomalyclip_refuses_to_learn_from_nothing() -> None:
    method = AnomalyCLIP(iterations=1)
    with pytest.raises(MethodsError, match="was given none"):
        method.fit(image_set(train_images(SIZES)), context())
    unlabelled = context()
    unlabelled.auxiliary = dataclasses.replace(auxiliary_set(), labels=np.zeros(4, np.bool_))
    with pytest.raises(MethodsError, match="was given none"):
        method.fit(image_set(train_images(SIZES)), unlabelled)
    with pytest.raises(BadParameter, match="'words' is 0"):
        AnomalyCLIP(words=0)


def test_masks_are_read_through_the_view_and_only_of_defective_images() -> None:
    given = context()
    given.view = View(32, 24)
    asked: list[int] = []
    full = np.zeros((64, 64), np.bool_)
    full[:, :32] = True

    def mask(index: int) -> np.ndarray:
        asked.append(index)
        return full

    auxiliary = dataclasses.replace(auxiliary_set(), mask=mask)
    masks = view_masks(auxiliary, given)
    assert asked == np.flatnonzero(auxiliary.labels).tolist()
    for index, found in enumerate(masks):
        assert found.shape == (24, 24)
        assert found.sum() == (24 * 12 if auxiliary.labels[index] else 0)


def test_anomalygpt_with_shots_is_the_distance_to_the_nearest_reference_patches(toy: Encoder) -> None:
    method = fitted(AnomalyGPT(shots=5))
    images = judged(method)
    prediction = method.score(images, context())
    train = image_set(train_images(SIZES), method.needs)
    layers = ("block0", "block1", "block2", "block3")
    index, row, column = 1, 6, 3
    same = [
        i
        for i in range(len(train))
        if train.class_names[train.class_ids[i]] == images.class_names[images.class_ids[index]]
    ]
    query = features(toy, images, index, layers)
    references = [features(toy, train, i, layers) for i in same]
    near = []
    for layer in layers:
        vector = query[layer][:, row, column]
        best = -1.0
        for reference in references:
            for patch in reference[layer].flatten(1).T:
                best = max(best, float(patch @ vector / patch.norm() / vector.norm()))
        near.append(best)
    assert prediction.grids[index, row, column] == pytest.approx(1 - np.mean(near), abs=1e-5)
    upsampled = functional.interpolate(
        torch.from_numpy(prediction.grids)[:, None], size=64, mode="bilinear", align_corners=True
    )
    np.testing.assert_allclose(prediction.scores, upsampled.amax(dim=(1, 2, 3)), atol=1e-5)


@torch.no_grad()
def test_the_decoder_asks_each_depth_whether_a_patch_looks_damaged(toy: Encoder) -> None:
    method = fitted(AnomalyGPT(iterations=1, batch_size=2))
    images = judged(method)
    prediction = method.score(images, context())
    layers = ("block0", "block1", "block2", "block3")
    name = images.class_names[images.class_ids[0]]
    texts = states.normal_and_abnormal(toy.text, name, "anomalygpt", normalise_each=True)
    maps = features(toy, images, 0, layers)
    chances = []
    for layer, linear in zip(layers, method._decoder.layers, strict=True):
        patch = linear(maps[layer][:, 2, 11].float())
        chances.append(float(torch.softmax(100 * texts @ patch / patch.norm(), dim=0)[1]))
    assert prediction.grids[0, 2, 11] == pytest.approx(np.mean(chances), abs=1e-4)
    assert prediction.post.upsample == "bilinear_corners"


def test_the_decoders_loss_sums_over_depths_at_the_masks_resolution() -> None:
    torch.manual_seed(0)
    decoder = Decoder([5, 6], 4)
    maps = torch.randn(2, 5, 3, 3), torch.randn(2, 6, 3, 3)
    texts = functional.normalize(torch.randn(2, 2, 4), dim=-1)
    masks = torch.rand(2, 9, 9) > 0.7
    logits = decoder(maps, texts)
    expected = 0.0
    for part in logits:
        large = functional.interpolate(part, size=(9, 9), mode="bilinear", align_corners=True).softmax(dim=1)
        expected += float((focal(large, masks) + dice(large[:, 1], masks)).detach())
    assert float(decoder_loss(logits, masks).detach()) == pytest.approx(expected, rel=1e-6)


def test_anomalygpt_learns_to_see_what_was_blended_in() -> None:
    start: dict[str, float] = {}
    end: dict[str, float] = {}
    fitted(AnomalyGPT(iterations=1, batch_size=5, learning_rate=0.0), start)
    fitted(AnomalyGPT(iterations=12, batch_size=5), end)
    assert end["learn_decoder_loss"] < start["learn_decoder_loss"]
