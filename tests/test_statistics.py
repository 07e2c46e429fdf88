"""Ranks and standings: against scipy and plain enumeration."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from scipy import stats

from ltbench.reports.statistics.ranking import cliques, critical_difference, friedman, rank_intervals, ranks
from ltbench.reports.statistics.standings import standings


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def groups(rng: np.random.Generator, seeds: int = 4, categories: int = 9) -> np.ndarray:
    """(seed, category): another third of the categories in each seed."""
    members = np.zeros((seeds, categories), dtype=bool)
    for row in members:
        row[rng.permutation(categories)[: categories // 3 + int(rng.integers(2))]] = True
    return members


def test_ranks_count_from_the_best_and_share_ties() -> None:
    assert ranks(np.array([[0.9, 0.5, 0.9, 0.1]])).tolist() == [[1.5, 3, 1.5, 4]]


@pytest.mark.parametrize("decimals", [9, 0])
def test_friedman_is_iman_and_davenports_with_and_without_ties(
    rng: np.random.Generator, decimals: int
) -> None:
    values = (rng.normal(size=(13, 5)) + 0.3 * np.arange(5)).round(decimals)
    ranked = stats.rankdata(values, axis=1)
    # An analysis of variance of the ranks over methods and blocks, which is what the form amounts to.
    between = 13 * np.sum((ranked.mean(axis=0) - 3) ** 2)
    rest = np.sum((ranked - 3) ** 2) - between
    f = (between / 4) / (rest / (4 * 12))
    assert friedman(values) == pytest.approx(stats.f.sf(f, 4, 48))


def test_friedman_of_one_order_in_every_category_leaves_no_doubt() -> None:
    assert friedman(np.tile(np.arange(4.0), (6, 1))) == 0.0
    assert np.isnan(friedman(np.ones((6, 4))))
    assert np.isnan(friedman(np.ones((1, 4))))
    assert np.isnan(friedman(np.arange(12.0).reshape(6, 2)))


@pytest.mark.parametrize(("methods", "blocks"), [(2, 6), (5, 15), (12, 30), (25, 12)])
def test_the_critical_difference_is_that_of_the_studentized_range(methods: int, blocks: int) -> None:
    quantile = stats.studentized_range.ppf(0.95, methods, np.inf) / np.sqrt(2)
    expected = quantile * np.sqrt(methods * (methods + 1) / (6 * blocks))
    assert critical_difference(methods, blocks) == pytest.approx(expected, rel=1e-9)


def test_the_critical_difference_is_that_of_demsars_table() -> None:
    # Demsar 2006, Table 5(a): q at 0.05 for 2..10 classifiers.
    printed = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for methods, q in enumerate(printed, start=2):
        found = critical_difference(methods, 1) / np.sqrt(methods * (methods + 1) / 6)
        assert found == pytest.approx(q, abs=0.001)


def test_cliques_are_the_largest_sets_within_the_difference(rng: np.random.Generator) -> None:
    for _ in range(50):
        average = rng.uniform(1, 6, size=6).round(1)
        difference = float(rng.uniform(0.3, 2.5))
        found = [set(clique) for clique in cliques(average, difference)]
        subsets = [set(s) for n in range(2, 7) for s in itertools.combinations(range(6), n)]
        tied = [s for s in subsets if np.ptp(average[sorted(s)]) <= difference]
        expected = [s for s in tied if not any(s < other for other in tied)]
        assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_rank_intervals_hold_the_rank_and_narrow_with_the_noise(rng: np.random.Generator) -> None:
    level = np.array([0.9, 0.88, 0.7, 0.5])[:, None, None]
    shape, members = (4, 4, 9), groups(rng)
    noisy = rank_intervals(level + rng.normal(0, 0.05, shape), members)
    assert list(noisy.rank) == [1, 2, 3, 4]
    assert (noisy.low <= noisy.rank).all()
    assert (noisy.high >= noisy.rank).all()
    assert noisy.high[0] == 2
    assert noisy.low[3] == noisy.high[3] == 4
    assert noisy.share_best.sum() == pytest.approx(1)
    still = rank_intervals(np.broadcast_to(level, shape), members)
    assert np.array_equal(still.low, still.high)


def test_equal_methods_share_their_rank(rng: np.random.Generator) -> None:
    one = rng.random((1, 3, 8))
    found = rank_intervals(np.repeat(one, 3, axis=0), np.ones((3, 8), dtype=bool))
    assert list(found.rank) == [1, 1, 1]
    assert np.allclose(found.share_best, 1 / 3)
    assert list(found.low) == list(found.high)


def results(methods: int, seeds: int = 3, categories: int = 8) -> np.ndarray:
    """(method, seed, category): each method better than the one before."""
    level = 0.5 + 0.4 * np.arange(methods)[:, None, None] / methods
    noise = np.random.default_rng(2).normal(0, 0.03, size=(methods, seeds, categories))
    return np.clip(level + noise, 0, 1)


def test_standings_follow_the_means_and_leave_out_what_is_not_eligible(rng: np.random.Generator) -> None:
    values, members = results(5), np.ones((3, 8), dtype=bool)
    found, test = standings(values, members, np.array([False, True, True, True, True]))
    assert found[0] is None
    means = values.mean(axis=(1, 2))[1:]
    assert [one.rank for one in found[1:]] == list(stats.rankdata(-means))
    assert [one.tier for one in found if one is not None and one.rank == 1] == [1]
    assert np.isnan(found[int(np.argmax(means)) + 1].p)
    assert (test.categories, test.note) == (8, "")
    average = stats.rankdata(-values[1:].mean(axis=1), axis=0).mean(axis=1)
    assert [one.average_rank for one in found[1:]] == pytest.approx(list(average))


def test_a_method_with_a_hole_is_in_no_comparison() -> None:
    values, members = results(4), np.ones((3, 8), dtype=bool)
    values[3, 2, 5] = np.nan
    everyone = np.ones(4, dtype=bool)
    found, test = standings(values, members, everyone)
    assert found[3] is None
    # As text: the best has no p-value, and NaN equals nothing.
    assert repr((found[:3], test)) == repr(standings(values[:3], members, everyone[:3]))


def test_a_column_where_no_method_stands_out_says_why() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.01, size=(3, 2, 12))
    _, test = standings(values, np.ones((2, 12), dtype=bool), np.ones(3, dtype=bool))
    assert test.note == "the test tells no method from the best"
    _, test = standings(results(3, categories=4), np.ones((3, 4), dtype=bool), np.ones(3, dtype=bool))
    assert test.note.startswith("4 categories cannot show a difference")


def test_a_column_without_methods_has_no_standing() -> None:
    found, test = standings(results(2), np.ones((3, 8), dtype=bool), np.zeros(2, dtype=bool))
    assert found == [None, None]
    assert np.isnan(test.critical_difference)


def test_standings_of_many_methods_take_a_second_at_most() -> None:
    start = time.process_time()
    for _ in range(12):
        standings(results(20, 5, 15), np.ones((5, 15), dtype=bool), np.ones(20, dtype=bool))
    assert time.process_time() - start < 5.0
