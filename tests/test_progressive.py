"""Progressive selection by hand-made numbers."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
import torch

from ltbench.methods.blocks.progressive import Selection, median_of, robust_maximum, top_count
from ltbench.methods.errors import BadParameter


@pytest.mark.parametrize(
    ("patches", "ceil", "floor"), [(65536, 656, 655), (784, 8, 7), (196, 2, 1), (700, 7, 7), (9, 1, 1)]
)
def test_one_percent_of_the_patches(patches: int, ceil: int, floor: int) -> None:
    assert top_count(patches, 1, "ceil") == ceil
    assert top_count(patches, 1, "floor") == floor


def test_robust_maximum_is_the_mean_of_the_top_patches() -> None:
    grids = np.random.default_rng(0).permutation(2 * 784).reshape(2, 28, 28).astype(np.float32)
    for rounding, count in (("ceil", 8), ("floor", 7)):
        found = robust_maximum(grids, 1, rounding)
        expected = [np.mean(sorted(image.ravel())[-count:]) for image in grids]
        np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(robust_maximum(grids, 100), grids.mean(axis=(1, 2)))


@pytest.mark.parametrize("count", range(1, 9))
def test_medians_are_those_of_torch_and_of_the_textbook(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    assert median_of(values, "lower") == torch.from_numpy(values).median().item()
    assert median_of(values, "mean") == pytest.approx(statistics.median(values))


@pytest.mark.parametrize(
    ("values", "at_start", "at_end"),
    [
        ([3.0], [], []),
        ([1.0, 2.0], [], []),
        # median 2, deviations 1, 0, 3: lower median 1
        ([1.0, 2.0, 5.0], [0], [0, 1]),
        # lower median 2, deviations 1, 0, 1, 6: lower median 1
        ([1.0, 2.0, 3.0, 8.0], [0], [0, 1]),
    ],
)
def test_coded_rule_on_one_to_four_images(
    values: list[float], at_start: list[int], at_end: list[int]
) -> None:
    """Strictly below the lower median: classes of one or two images are never selected."""
    rule = Selection(critical=1)
    criterion = np.array(values)
    assert np.flatnonzero(rule.keep(criterion, 0.0)).tolist() == at_start
    assert np.flatnonzero(rule.keep(criterion, 1.0)).tolist() == at_end


@pytest.mark.parametrize(("values", "kept"), [([3.0], [0]), ([2.0, 1.0], [1]), ([5.0, 1.0, 2.0], [1])])
def test_guarded_rule_keeps_the_least_suspicious_of_a_small_class(
    values: list[float], kept: list[int]
) -> None:
    assert np.flatnonzero(Selection(least=1).keep(np.array(values), 0.0)).tolist() == kept


def test_textbook_median_selects_half_of_an_even_class() -> None:
    values = np.array([4.0, 1.0, 3.0, 2.0])
    assert np.flatnonzero(Selection(median="mean").keep(values, 0.0)).tolist() == [1, 3]
    assert np.flatnonzero(Selection(median="lower").keep(values, 0.0)).tolist() == [1]


def test_criterion_moves_from_the_distilled_to_the_present_model_by_half_time() -> None:
    rule = Selection(critical=0)
    initial, current = np.array([1.0, 2, 3, 4, 5]), np.array([5.0, 4, 3, 2, 1])
    groups = np.zeros(5, int)
    assert rule.select(initial, current, groups, 0.0).tolist() == [True, True, False, False, False]
    assert rule.select(initial, current, groups, 0.5).tolist() == [False, False, False, True, True]
    assert [rule.blend(moment) for moment in (0, 0.25, 0.5, 1)] == [0, 0.5, 1, 1]


def test_threshold_relaxes_linearly_to_k_deviations() -> None:
    values = np.array([0.0, 1, 2, 4, 10])
    rule = Selection(critical=3)  # median 2, deviations 2, 1, 0, 2, 8: median 2
    assert [rule.threshold(values, moment) for moment in (0, 0.5, 1)] == [2, 5, 8]


def test_every_class_is_judged_by_itself() -> None:
    low, high = np.array([1.0, 2, 3]), np.array([100.0, 200, 300])
    scores = np.concatenate([low, high])
    kept = Selection().select(scores, scores, np.repeat([0, 7], 3), 0.0)
    assert kept.tolist() == [True, False, False] * 2


def test_bell_shaped_scores_end_with_the_share_that_k_promises() -> None:
    scores = np.random.default_rng(0).normal(size=20_000)
    shares = [Selection(critical=k).keep(scores, 1.0).mean() for k in (0, 1, 2, 3)]
    np.testing.assert_allclose(shares, [0.5, 0.75, 0.911, 0.978], atol=0.01)


def test_nonsense_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadParameter, match="unknown median 'upper'"):
        median_of(np.ones(3), "upper")
    with pytest.raises(BadParameter, match="share of top patches is 0"):
        top_count(784, 0)
    with pytest.raises(BadParameter, match="unknown rounding 'up'"):
        top_count(784, 1, "up")
