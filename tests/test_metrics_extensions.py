"""Metrics beyond the boards: AUPIMO, regions by size, pooled images, one threshold for all."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from test_metrics_pixel import realistic

from ltbench.benchmark.metrics import Answer, Truth, Undefined, evaluate
from ltbench.benchmark.metrics.aupimo import LOWER, UPPER, aupimo_of_images
from ltbench.benchmark.metrics.pooled import Category, balanced_auroc, evaluate_pooled, pooled_auroc
from ltbench.benchmark.metrics.region_recall import RegionRecall, by_size, region_recall
from ltbench.benchmark.metrics.streaming import ArrayStream
from ltbench.benchmark.metrics.threshold import calibration, lowest_threshold


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


@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_region_recall_keeps_the_rate_and_counts_every_region(rate):
    maps, masks = realistic()
    truth = Truth(masks.any(axis=(1, 2)), masks)
    recall = region_recall(truth, Answer(maps=maps), rate)
    regions = truth.regions
    own = [maps.ravel()[regions.index[regions.region == region]] for region in range(len(regions.size))]
    assert recall.covered == pytest.approx([(values >= recall.threshold).mean() for values in own])
    allowed = rate * (~masks).sum()
    assert (maps[~masks] >= recall.threshold).sum() <= allowed
    lower = maps[masks][maps[masks] < recall.threshold].max()
    assert (maps[~masks] >= lower).sum() > allowed


def test_no_region_is_found_where_every_anomalous_pixel_is_below_the_normal_ones():
    masks = realistic()[1]
    recall = region_recall(Truth(masks.any(axis=(1, 2)), masks), Answer(maps=-masks.astype(np.float32)))
    assert recall.threshold == np.inf
    assert not recall.covered.any()


def test_regions_of_one_size_stay_together_and_none_is_lost():
    size = np.array([1, 1, 1, 1, 1, 5, 9, 9, 30, 100])
    found = by_size(
        [RegionRecall(0.5, size[:4], np.ones(4)), RegionRecall(0.5, size[4:], np.zeros(6))], groups=4
    )
    assert sum(group.regions for group in found) == len(size)
    assert (found[0].smallest, found[0].largest, found[0].regions, found[0].covered) == (1, 1, 5, 0.8)
    assert all(one.largest < other.smallest for one, other in pairwise(found))
    with pytest.raises(Undefined, match="no anomalous region"):
        by_size([])


@st.composite
def several(draw):
    """Two to four categories of different sizes with coarse scores."""
    found = []
    for number in range(draw(st.integers(2, 4))):
        size = draw(st.integers(2, 8))
        scores = np.array(draw(st.lists(st.integers(0, 5), min_size=size, max_size=size)), np.float32)
        labels = np.array([True, False, *draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2))])
        found.append(
            Category(f"c{number}", Truth(labels), Answer(scores), group=("head", "tail")[number % 2])
        )
    return found


def parts(category):
    scores, labels = category.answer.scores, category.truth.labels
    return scores[labels], scores[~labels]


def wins(high, low):
    return np.mean((high[:, None] > low) + (high[:, None] == low) / 2)


@given(several())
def test_pooling_is_one_heap_and_balancing_is_the_mean_over_pairs_of_categories(categories):
    scores = np.concatenate([category.answer.scores for category in categories])
    labels = np.concatenate([category.truth.labels for category in categories])
    assert pooled_auroc(categories) == pytest.approx(roc_auc_score(labels, scores))
    pairs = [wins(parts(one)[0], parts(other)[1]) for one in categories for other in categories]
    assert balanced_auroc(categories) == pytest.approx(np.mean(pairs))


@given(several())
def test_groups_are_pooled_among_themselves(categories):
    found = evaluate_pooled(categories)
    assert set(found) == {"all", "head", "tail"}
    tail = [category for category in categories if category.group == "tail"]
    assert [value.value for value in found["tail"]] == [pooled_auroc(tail), balanced_auroc(tail)]


def test_pooling_sees_what_the_mean_over_categories_cannot():
    labels = np.array([True] * 5 + [False] * 5)
    apart = [
        Category("a", Truth(labels), Answer(labels * 1.0)),
        Category("b", Truth(labels), Answer(labels + 10.0)),
    ]
    assert [evaluate(each.truth, each.answer, ["image_auroc"])[0].value for each in apart] == [1, 1]
    assert pooled_auroc(apart) == 0.75


def test_a_category_without_a_value_leaves_no_pooled_value_and_is_named():
    good = Category("bottle", Truth(np.array([True, False])), Answer(np.array([1.0, 0.0])))
    for bad, why in (
        (
            Category("screw", Truth(np.array([True, False])), Answer(np.array([np.nan, 0]))),
            "screw: scores are not",
        ),
        (Category("pill", Truth(np.array([True, True])), Answer(np.array([1.0, 0]))), "pill: no good image"),
    ):
        for value in evaluate_pooled([good, bad])["all"]:
            assert value.value is None
            assert why in value.why


@given(several(), st.sampled_from([0.01, 0.25, 0.5]))
def test_each_threshold_keeps_its_false_alarms_and_no_lower_one_does(categories, rate):
    found = calibration(categories, rate)
    for row, category in zip(found.categories, categories, strict=True):
        defective, good = parts(category)
        assert (good > row.own_threshold).mean() <= rate
        assert (good > found.shared_threshold).mean() <= rate
        assert (good >= row.own_threshold).mean() > rate
        assert row.own_recall == (defective > row.own_threshold).mean() >= row.shared_recall
        assert row.shared_recall == (defective > found.shared_threshold).mean()
        assert row.pooled_recall == (defective > found.pooled_threshold).mean()
        assert row.pooled_false_alarms == (good > found.pooled_threshold).mean()
    tail = [row.shared_recall for row in found.categories if row.group == "tail"]
    assert found.mean_recall("tail")["shared"] == pytest.approx(np.mean(tail))
    with pytest.raises(ValueError, match="no category is in group 'middle'"):
        found.mean_recall("middle")


def test_one_threshold_for_all_misses_a_tail_category_with_low_scores():
    rng = np.random.default_rng(0)
    labels = np.arange(200) < 100
    head = Category("head", Truth(labels), Answer(rng.normal(size=200) + 4 * labels + 10), "head")
    tail = Category("tail", Truth(labels), Answer(rng.normal(size=200) + 4 * labels), "tail")
    found = calibration([head, tail])
    assert found.mean_recall("tail")["own"] > 0.8
    assert found.mean_recall("tail")["shared"] == 0
    assert found.categories[0].pooled_false_alarms > 0.01


def test_too_few_good_images_allow_no_false_alarm():
    assert lowest_threshold(np.arange(99.0), 0.01) == 98
    assert lowest_threshold(np.arange(100.0), 0.01) == 98
