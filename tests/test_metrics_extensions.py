"""Metrics beyond the standard ones: AUPIMO, recall of regions, metrics over all categories of a cell."""

from __future__ import annotations

import warnings

import metrics_by_definition as definition
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from test_metrics_pixel import realistic

from ltbench.benchmark.metrics import Answer, Truth, evaluate
from ltbench.benchmark.metrics.aupimo import LOWER, UPPER, aupimo_of_images
from ltbench.benchmark.metrics.blocks.streaming import ArrayStream
from ltbench.benchmark.metrics.image_recall_shared import lowest_threshold


def aupimo_by_definition(maps, masks):
    """Integral of the covered share over log FPR: one term per number of false alarms in the range."""
    good = maps[~masks.any(axis=(1, 2))].ravel()
    found = []
    for image, mask in zip(maps, masks, strict=True):
        if not mask.any():
            continue
        total = 0.0
        for alarms in range(int(UPPER * good.size) + 1):
            start, end = max(alarms / good.size, LOWER), min((alarms + 1) / good.size, UPPER)
            if start >= end:
                continue
            allowed = [score for score in [*set(image[mask].tolist())] if (good >= score).sum() <= alarms]
            share = (image[mask] >= min(allowed)).mean() if allowed else 0.0
            total += share * np.log(end / start)
        found.append(total / np.log(UPPER / LOWER))
    return found


@pytest.mark.parametrize("decimals", [8, 1])
@pytest.mark.parametrize("size", [64, 150])
def test_aupimo_equals_its_definition(size, decimals):
    maps, masks = realistic(images=10, size=size)
    maps = np.round(maps + 2 * masks * np.random.default_rng(0).random(maps.shape), decimals).astype(
        np.float32
    )
    truth, answer = Truth(masks.any(axis=(1, 2)), masks), Answer(maps=maps)
    expected = aupimo_by_definition(maps, masks)
    assert aupimo_of_images(truth, answer) == pytest.approx(expected, abs=1e-12)
    assert 0 < np.mean(expected) < 1
    assert evaluate(truth, answer, ["aupimo"])[0].value == pytest.approx(np.mean(expected))


def test_aupimo_agrees_with_the_released_code():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        functional = pytest.importorskip(
            "anomalib.metrics.pimo.functional", reason="anomalib is not installed"
        )
    maps, masks = realistic(images=40, size=160)
    maps = maps + masks * 0.5
    theirs = functional.aupimo_scores(torch.tensor(maps), torch.tensor(masks), num_thresholds=300_000)[4]
    ours = aupimo_of_images(Truth(masks.any(axis=(1, 2)), masks), Answer(maps=maps))
    assert ours == pytest.approx(theirs.numpy()[masks.any(axis=(1, 2))], abs=0.02)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda maps, masks: (maps[:, :8, :8], masks[:, :8, :8]), "pixels of good images cannot tell"),
        (lambda maps, masks: (maps[::2], masks[::2]), "0 pixels of good images cannot tell"),
        (lambda maps, masks: (maps, masks & False), "no anomalous pixel: one class only"),
        (lambda maps, masks: (maps * np.inf, masks), "maps are not finite"),
        (lambda maps, masks: (ArrayStream(maps), masks), "AUPIMO needs maps and masks in memory"),
    ],
)
def test_aupimo_without_a_value_has_a_reason(change, why):
    labels = realistic()[1].any(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        maps, masks = change(*realistic())
    value = evaluate(
        Truth(labels[: len(masks)] if len(masks) == 12 else labels[::2], masks), Answer(maps=maps), ["aupimo"]
    )[0]
    assert value.value is None
    assert why in value.why


def test_region_recall_is_the_share_of_regions_above_the_lowest_threshold_that_keeps_the_rate():
    maps, masks = realistic()
    maps = maps + 0.02 * np.random.default_rng(0).random(maps.shape, dtype=np.float32)
    allowed = 0.01 * (~masks).sum()
    kept = [score for score in np.unique(maps[masks]) if (maps[~masks] >= score).sum() <= allowed]
    peaks = [maps[region].max() for region in definition.components(masks)]
    truth = Truth(masks.any(axis=(1, 2)), masks)
    value = evaluate(truth, Answer(maps=maps), ["region_recall"])[0].value
    assert value == np.mean([peak >= min(kept) for peak in peaks])


def test_no_region_is_found_where_every_anomalous_pixel_is_below_the_normal_ones():
    masks = realistic()[1]
    truth, answer = Truth(masks.any(axis=(1, 2)), masks), Answer(maps=-masks.astype(np.float32))
    assert evaluate(truth, answer, ["region_recall"])[0].value == 0


@st.composite
def several(draw):
    """Scores and labels of two to four categories of different sizes, with coarse scores."""
    found = []
    for _ in range(draw(st.integers(2, 4))):
        size = draw(st.integers(2, 8))
        scores = np.array(draw(st.lists(st.integers(0, 5), min_size=size, max_size=size)), np.float32)
        labels = np.array([True, False, *draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2))])
        found.append((scores, labels))
    return found


def over_cell(metric, categories):
    """The metric of each category of a cell."""
    good = [scores[~labels] for scores, labels in categories]
    return [
        evaluate(Truth(labels), Answer(scores, good_scores=good), [metric])[0].value
        for scores, labels in categories
    ]


@given(several())
def test_the_mean_of_balanced_aurocs_is_the_auroc_of_one_heap_of_equally_heavy_categories(categories):
    scores, labels = (np.concatenate(parts) for parts in zip(*categories, strict=True))
    weights = np.concatenate([1 / np.where(own, own.sum(), (~own).sum()) for _, own in categories])
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert np.mean(over_cell("image_auroc_balanced", categories)) == pytest.approx(expected)


def test_a_balanced_auroc_sees_scales_that_the_auroc_of_a_category_cannot():
    labels = np.array([True] * 5 + [False] * 5)
    apart = [(labels * 1.0, labels), (labels + 10.0, labels)]
    assert over_cell("image_auroc", apart) == [1, 1]
    assert over_cell("image_auroc_balanced", apart) == [0.5, 1]


@given(several())
def test_the_shared_threshold_keeps_false_alarms_in_every_category_and_no_lower_one_does(categories):
    # With fewer than 100 good images none may be flagged.
    threshold = max(scores[~labels].max() for scores, labels in categories)
    expected = [(scores[labels] > threshold).mean() for scores, labels in categories]
    assert over_cell("image_recall_shared", categories) == expected


def test_a_shared_threshold_misses_a_tail_category_with_low_scores():
    rng = np.random.default_rng(0)
    labels = np.arange(200) < 100
    head, tail = (rng.normal(size=200) + 4 * labels + offset for offset in (10, 0))
    assert over_cell("image_recall_shared", [(tail, labels)])[0] > 0.8
    assert over_cell("image_recall_shared", [(head, labels), (tail, labels)])[1] == 0


@pytest.mark.parametrize("metric", ["image_auroc_balanced", "image_recall_shared"])
@pytest.mark.parametrize(
    ("labels", "good", "why"),
    [
        ([True, False], None, "the scores of the cell's other categories are not known"),
        ([True, False], [np.array([])], "a category of the cell has no good image"),
        ([True, False], [np.array([np.nan])], "scores of another category are not finite"),
        ([False, False], [np.array([1.0])], "no defective image: one class only"),
    ],
)
def test_a_metric_over_the_cell_without_a_value_has_a_reason(metric, labels, good, why):
    answer = Answer(np.array([1.0, 0.0]), good_scores=good)
    assert evaluate(Truth(np.array(labels)), answer, [metric])[0].why == why


def test_one_percent_of_good_images_may_be_flagged():
    assert lowest_threshold(np.arange(99.0)) == 98
    assert lowest_threshold(np.arange(100.0)) == 98
