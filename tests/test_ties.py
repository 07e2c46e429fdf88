"""Tie groups: against plain enumeration and the error rates they claim."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ltbench.reports.statistics.ties import (
    compare,
    contributions,
    deviations,
    flipped_sums,
    stepped_ranges,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def groups(rng: np.random.Generator, seeds: int = 4, categories: int = 9) -> np.ndarray:
    """(seed, category): another third of the categories in each seed."""
    members = np.zeros((seeds, categories), dtype=bool)
    for row in members:
        row[rng.permutation(categories)[: categories // 3 + int(rng.integers(2))]] = True
    return members


def range_test(parts: np.ndarray) -> np.ndarray:
    """(method,) p-values for (method, observation) contributions."""
    return stepped_ranges(parts.sum(axis=1), flipped_sums(deviations(parts), seed=0))


def test_contributions_add_up_to_the_number_of_the_table(rng: np.random.Generator) -> None:
    values, members = rng.random((3, 4, 9)), groups(rng)
    number = [np.mean([line[seed, members[seed]].mean() for seed in range(4)]) for line in values]
    assert np.allclose(contributions(values, members).sum(axis=1), number, atol=1e-14)


def test_drawn_patterns_come_close_to_all_patterns(rng: np.random.Generator) -> None:
    parts = rng.normal(size=(2, 16)) + np.array([[0.4], [0.0]])
    signs = np.array(list(itertools.product((-1, 1), repeat=16)))
    difference = parts[0] - parts[1]
    whole = np.mean(np.abs(signs @ difference) >= abs(difference.sum()) - 1e-9)
    worse = int(np.argmin(parts.sum(axis=1)))
    assert abs(range_test(parts)[worse] - whole) < 0.02
    assert np.array_equal(range_test(parts), range_test(parts))


def test_without_a_difference_p_is_one() -> None:
    assert (range_test(np.zeros((3, 6))) == 1).all()
    assert (range_test(np.zeros((2, 40))) == 1).all()


def test_the_best_group_holds_what_is_not_significantly_worse() -> None:
    base = np.random.default_rng(0).normal(0.8, 0.05, size=(3, 12))
    noise = np.random.default_rng(1).normal(0, 0.01, size=(3, 12))
    low = base - 0.1 + 0.1 * noise
    values = np.stack([base, base + noise - noise.mean() - 0.001, low, low - noise, low - 0.3 + noise])
    found = compare(values, np.ones((3, 12), dtype=bool))
    assert list(found.tier) == [1, 1, 2, 2, 3]
    assert np.isnan(found.p[0])
    assert found.p[1] > 0.05 > found.p[2]
    assert (found.categories, found.why) == (12, "")


def test_methods_with_a_hole_take_no_part(rng: np.random.Generator) -> None:
    values, members = rng.random((4, 3, 8)), np.ones((3, 8), dtype=bool)
    values[1] = 0.999
    values[1, 2, 5] = np.nan
    eligible = np.array([True, True, True, False])
    found = compare(values, members, eligible)
    assert found.tier[1] == found.tier[3] == 0
    assert np.isnan(found.p[[1, 3]]).all()
    # A hole outside the group does not matter.
    members[2, 5] = False
    assert compare(values, members, eligible).tier[1] == 1


def test_few_categories_cannot_show_a_difference_and_say_so() -> None:
    values = np.stack([np.full((5, 4), 0.9), np.full((5, 4), 0.1)])
    members = np.ones((5, 4), dtype=bool)
    found = compare(values, members)
    assert found.why == "4 categories cannot show a difference at level 0.05: the smallest p is 0.12"
    assert list(found.tier) == [1, 1]


def test_the_range_test_counts_every_pattern_of_signs(rng: np.random.Generator) -> None:
    parts = rng.normal(size=(4, 7)).round(2)
    order = np.argsort(-parts.sum(axis=1))
    expected = np.ones(4)
    for place in range(3, 0, -1):
        first = parts[order[: place + 1]]
        observed = first[0].sum() - first[-1].sum()
        ranges = [np.ptp(first @ signs) for signs in itertools.product((-1, 1), repeat=7)]
        p = np.mean([r >= observed - 1e-9 for r in ranges])
        expected[place] = max([p, *expected[place + 1 : 4]])
    expected[0] = 1
    assert range_test(parts)[order] == pytest.approx(expected)


def test_what_all_methods_share_does_not_matter(rng: np.random.Generator) -> None:
    parts = rng.normal(size=(5, 9))
    assert range_test(parts + 50 * rng.normal(size=9)) == pytest.approx(range_test(parts))


@pytest.mark.parametrize(("count", "unequal"), [(12, 0), (4, 8)])
def test_an_equal_method_is_excluded_in_five_of_a_hundred_tables_at_most(count: int, unequal: int) -> None:
    """Although the best is found in the same data."""
    rng, members, tables = np.random.default_rng(3), np.ones((1, 12), dtype=bool), 400
    wrong = 0
    for _ in range(tables):
        values = rng.normal(0, 0.03, size=(count + unequal, 1, 12))
        values[count:] -= 0.25
        wrong += bool((compare(values, members).tier[:count] != 1).any())
    # Three standard errors of 400 tables above 5 %.
    assert wrong / tables < 0.083


def test_a_method_that_is_worse_by_far_is_told_from_the_best_with_few_categories() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.9, 0.02, size=(8, 3, 6))
    values[5:] -= 0.3
    members = np.ones((3, 6), dtype=bool)
    assert (compare(values, members).tier[5:] > 1).all()
