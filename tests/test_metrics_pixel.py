"""Pixel metrics against their definitions, scikit-learn and the steps of the MVTec AD evaluation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import metrics_by_definition as definition
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from ltbench.benchmark.maps import MapsOfGrids, anomaly_maps
from ltbench.benchmark.metrics import Answer, Scratch, Truth, evaluate
from ltbench.benchmark.metrics.blocks.regions import label_regions
from ltbench.benchmark.metrics.blocks.streaming import ArrayStream
from ltbench.methods.base import MapPost

PIXEL = ("pixel_auroc", "pixel_ap", "pixel_f1max", "aupro", "aupro_05", "aupro_01")


def values(maps, masks, scratch=None):
    truth = Truth(masks.any(axis=(1, 2)), masks)
    return [value.value for value in evaluate(truth, Answer(maps=maps, scratch=scratch), PIXEL)]


@st.composite
def mapped(draw, levels=6):
    """Small maps with many ties, and masks whose regions may touch borders, corners and each other's."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    masks = draw(hnp.arrays(bool, shape))
    masks[0, 0, :2] = [True, False]
    maps = draw(hnp.arrays(np.int16, shape, elements=st.integers(-levels, levels)))
    return (maps / 4).astype(np.float32), masks


def realistic(seed=0, images=12, size=64):
    """Smooth noise, brighter where anomalous; every second image is good."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((images, size, size), bool)
    for mask in masks[::2]:
        for _ in range(rng.integers(1, 5)):
            top, left, height, width = rng.integers([0, 0, 2, 2], [size - 8, size - 8, 14, 14])
            mask[top : top + height, left : left + width] = True
    maps = ndimage.gaussian_filter(rng.normal(size=masks.shape), (0, 3, 3)) * 8 + masks
    return ndimage.gaussian_filter(maps, (0, 2, 2)).astype(np.float32), masks


@given(mapped())
def test_pixel_metrics_equal_their_definition(case):
    maps, masks = case
    scores, labels = maps.ravel(), masks.ravel()
    expected = [
        definition.auroc(scores, labels),
        definition.average_precision(scores, labels),
        definition.f1_max(scores, labels),
        *(definition.aupro(maps, masks, limit) for limit in (0.3, 0.05, 0.01)),
    ]
    got = values(maps, masks)
    assert got == pytest.approx([float(value) for value in expected], abs=2e-15)
    assert got[0] == float(expected[0])


@pytest.mark.parametrize("decimals", [8, 1])
def test_pixel_metrics_equal_scikit_learn_and_the_mvtec_steps(decimals):
    maps, masks = realistic()
    maps = np.round(maps, decimals)
    precision, recall, _ = precision_recall_curve(masks.ravel(), maps.ravel())
    expected = [
        roc_auc_score(masks.ravel(), maps.ravel()),
        average_precision_score(masks.ravel(), maps.ravel()),
        (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max(),
        *(definition.mvtec_aupro(maps, masks, limit) for limit in (0.3, 0.05, 0.01)),
    ]
    assert values(maps, masks) == pytest.approx(expected, abs=1e-12)


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7)))
def test_regions_are_the_8_connected_ones_of_each_image(masks):
    regions = label_regions(masks)
    expected = {frozenset(np.flatnonzero(region).tolist()) for region in definition.components(masks)}
    found = {frozenset(regions.index[regions.region == r].tolist()) for r in range(len(regions.size))}
    assert found == expected
    assert regions.pixels_of_image.tolist() == masks.sum(axis=(1, 2)).tolist()
    images = regions.index // (masks.shape[1] * masks.shape[2])
    assert np.array_equal(regions.image[regions.region], images)


@given(mapped(), st.sampled_from([np.float32, np.float64]))
def test_a_rising_transform_leaves_every_bit_unchanged(case, dtype):
    maps, masks = case
    ranks = np.unique(maps, return_inverse=True)[1].reshape(maps.shape)
    assert values((np.exp(ranks) - 3).astype(dtype), masks) == values(maps, masks)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8, np.int32])
def test_maps_of_any_type_give_the_same(dtype):
    maps, masks = realistic()
    maps = np.round(maps * 40).clip(0, 255).astype(np.float32)
    assert values(maps.astype(dtype), masks) == values(maps, masks)


def test_constant_maps_are_chance():
    masks = realistic()[1]
    auroc, precision, f1, *aupro = values(np.ones(masks.shape, np.float32), masks)
    share = masks.mean()
    assert (auroc, precision, f1) == (0.5, pytest.approx(share), pytest.approx(2 * share / (1 + share)))
    assert aupro == pytest.approx([0.15, 0.025, 0.005])


def test_perfect_maps_are_one():
    masks = realistic()[1]
    assert values(masks.astype(np.float32), masks) == pytest.approx([1] * 6, abs=1e-12)


def test_zeros_of_both_signs_are_one_score():
    maps, masks = np.zeros((1, 2, 2), np.float32), np.array([[[True, True], [False, False]]])
    signed = maps.copy()
    signed[0, :, 0] = -0.0
    assert values(signed, masks) == values(maps, masks)


def test_a_buffer_used_before_and_kept_maps_are_left_alone():
    maps, masks = realistic()
    scratch = Scratch()
    values(np.concatenate([maps, maps]), np.concatenate([masks, masks]), scratch)
    kept = maps.copy()
    assert values(maps, masks, scratch) == values(maps, masks)
    assert np.array_equal(maps, kept)


def test_maps_made_on_demand_give_the_same_as_maps_at_hand():
    grids = np.random.default_rng(4).random((6, 5, 7), np.float32)
    masks = np.zeros((6, 32, 32), bool)
    masks[:2, 3:9, 10:20] = True
    source, maps = MapsOfGrids(grids, 32, MapPost(2.0)), anomaly_maps(grids, 32, 2.0)
    assert np.array_equal(np.asarray(source), maps)
    for scratch in (None, Scratch()):
        assert values(source, masks, scratch) == values(maps, masks)
    labels = masks.any(axis=(1, 2))
    one, other = (evaluate(Truth(labels, masks), Answer(maps=given), ["aupimo"]) for given in (source, maps))
    assert [value.value for value in one] == [value.value for value in other]
    (streamed,) = evaluate(Truth(labels, ArrayStream(masks)), Answer(maps=source), ["pixel_auroc"])
    assert streamed.value == values(maps, masks)[0]


def test_maps_made_on_demand_that_are_not_finite_are_refused():
    grids = np.ones((3, 4, 4), np.float32)
    grids[1, 2, 2] = np.nan
    masks = np.zeros((3, 16, 16), bool)
    masks[0, :4] = True
    (value,) = evaluate(
        Truth(masks.any(axis=(1, 2)), masks),
        Answer(maps=MapsOfGrids(grids, 16, MapPost(0.0))),
        ["pixel_auroc"],
    )
    assert value.value is None
    assert "first at image 1" in value.why


def test_four_threads_agree():
    maps, masks = realistic()
    truth, answer = Truth(masks.any(axis=(1, 2)), masks), Answer(maps=maps)
    with ThreadPoolExecutor(4) as threads:
        shared = list(threads.map(lambda _: evaluate(truth, answer, PIXEL), range(8)))
        single = list(threads.map(lambda _: values(maps, masks), range(8)))
    assert all(one == shared[0] for one in shared)
    assert all(one == [value.value for value in shared[0]] for one in single)


MASKS = np.zeros((3, 4, 4), bool)
MASKS[0, 1:3, 1:3] = True
MAPS = np.arange(48, dtype=np.float32).reshape(3, 4, 4)
LABELS = np.array([True, False, False])


def broken(value):
    maps = MAPS.copy()
    maps[2, 0, 0] = value
    return maps


@pytest.mark.parametrize(
    ("truth", "maps", "why"),
    [
        (Truth(LABELS, why_no_masks="DAGM has ellipses only"), MAPS, "no masks: DAGM has ellipses only"),
        (Truth(LABELS, MASKS), None, "the method gives no anomaly maps"),
        (Truth(LABELS, MASKS), MAPS[:, :2, :2], "maps have shape (3, 2, 2), masks (3, 4, 4)"),
        (Truth(LABELS, MASKS[:2]), MAPS, "masks have shape (2, 4, 4) for 3 images"),
        (Truth(LABELS, MASKS), broken(np.nan), "maps are not finite: 1 NaN and 0 infinite, first at image 2"),
        (
            Truth(LABELS, MASKS),
            broken(-np.inf),
            "maps are not finite: 0 NaN and 1 infinite, first at image 2",
        ),
        (Truth(~LABELS, MASKS), MAPS, "1 images are labelled good but have anomalous pixels in their mask"),
        (Truth(LABELS, np.zeros_like(MASKS)), MAPS, "no anomalous pixel: one class only"),
        (Truth(~np.zeros(3, bool), ~np.zeros_like(MASKS)), MAPS, "no normal pixel: one class only"),
        (
            Truth.of_images([True, True, False], [MASKS[0], None, None]),
            MAPS,
            "1 of 2 defective images have no mask",
        ),
        (Truth.of_images([True, False], [None, None]), MAPS[:2], "no masks: no image has one"),
    ],
)
def test_a_hole_has_a_reason_and_never_a_number(truth, maps, why):
    for value in evaluate(truth, Answer(maps=maps), PIXEL):
        assert (value.value, value.why, value.note) == (None, why, "")


def test_an_empty_mask_on_a_defective_image_is_told():
    given = Truth.of_images(
        [True, True, False], [MASKS[0], MASKS[1], None], mask_rule="nearest, > 0", view="v"
    )
    value = evaluate(given, Answer(maps=MAPS), ["aupro"])[0]
    assert value.value is not None
    assert value.note == "1 defective images have an empty mask; their pixels count as normal"
    assert value.recipe.endswith("per category; mask nearest, > 0; view v")


def test_the_pixels_are_sorted_once_for_all_metrics(monkeypatch):
    from ltbench.benchmark.metrics.blocks import pixel_curve

    calls = []
    original = pixel_curve.curve_of_maps
    monkeypatch.setattr(pixel_curve, "curve_of_maps", lambda *given: calls.append(1) or original(*given))
    evaluate(Truth(LABELS, MASKS), Answer(maps=MAPS), PIXEL)
    assert len(calls) == 1
