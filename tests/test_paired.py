"""Paired tests and tie groups: against scipy, plain enumeration, and the error rates they claim."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from ltbench.reports.statistics.paired import (
    contributions,
    holm,
    pairwise,
    range_test,
    sign_flip,
    signed_rank,
)
from ltbench.reports.statistics.ties import Test, compare


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def groups(rng: np.random.Generator, seeds: int = 4, categories: int = 9) -> np.ndarray:
    """(seed, category): another third of the categories in each seed."""
    members = np.zeros((seeds, categories), dtype=bool)
    for row in members:
        row[rng.permutation(categories)[: categories // 3 + int(rng.integers(2))]] = True
    return members


def test_contributions_add_up_to_the_number_of_the_table(rng: np.random.Generator) -> None:
    values, members = rng.random((3, 4, 9)), groups(rng)
    number = [np.mean([line[seed, members[seed]].mean() for seed in range(4)]) for line in values]
    for unit in ("category", "category x seed"):
        assert np.allclose(contributions(values, members, unit).sum(axis=1), number, atol=1e-14)
    assert contributions(values, members, "category x seed").shape[1] == members.sum()


@pytest.mark.parametrize("count", [1, 2, 5, 10])
def test_few_observations_are_tested_by_counting_every_pattern_of_signs(
    rng: np.random.Generator, count: int
) -> None:
    differences = rng.normal(0.3, 1, size=(6, count)).round(1)
    for row, p in zip(differences, sign_flip(differences), strict=True):
        sums = [abs(np.dot(signs, row)) for signs in itertools.product((-1, 1), repeat=count)]
        assert p == pytest.approx(np.mean([s >= abs(row.sum()) - 1e-9 for s in sums]))


def test_the_sign_flip_test_is_the_permutation_test_of_scipy(rng: np.random.Generator) -> None:
    differences = rng.normal(0.4, 1, size=(4, 11))
    for row, p in zip(differences, sign_flip(differences), strict=True):
        scipys = stats.permutation_test((row,), np.sum, permutation_type="samples", n_resamples=np.inf)
        assert p == pytest.approx(scipys.pvalue)


def test_drawn_patterns_come_close_to_all_patterns(rng: np.random.Generator) -> None:
    differences = rng.normal(0.25, 1, size=(8, 16))
    signs = np.array(list(itertools.product((-1, 1), repeat=16)))
    whole = np.abs(signs @ differences.T) >= np.abs(differences.sum(axis=1)) - 1e-9
    drawn = sign_flip(differences)
    assert np.abs(drawn - whole.mean(axis=0)).max() < 0.02
    assert np.array_equal(drawn, sign_flip(differences))
    assert not np.array_equal(drawn, sign_flip(differences, seed=1))


def test_without_a_difference_p_is_one() -> None:
    nothing = np.zeros((2, 6))
    assert (sign_flip(nothing) == 1).all()
    assert (signed_rank(nothing) == 1).all()
    assert (sign_flip(np.zeros((2, 40))) == 1).all()


def test_the_signed_rank_test_is_scipys_without_zeros(rng: np.random.Generator) -> None:
    differences = rng.normal(0.4, 1, size=(3, 12))
    padded = np.concatenate([differences, np.zeros((3, 2))], axis=1)
    assert np.allclose(signed_rank(padded), stats.wilcoxon(differences, axis=1).pvalue)


def rejected_by_holm(p: np.ndarray, level: float) -> set[int]:
    """Holm's procedure as he wrote it: the smallest p against level / m, the next against level / (m - 1)."""
    found: set[int] = set()
    for at in np.argsort(p):
        if p[at] > level / (len(p) - len(found)):
            break
        found.add(int(at))
    return found


def test_a_corrected_p_is_the_level_at_which_holms_procedure_begins_to_reject(
    rng: np.random.Generator,
) -> None:
    for _ in range(30):
        p = rng.random(int(rng.integers(1, 12))) ** 3
        for at, corrected in enumerate(holm(p)):
            assert at not in rejected_by_holm(p, corrected - 1e-9)
            assert corrected == 1 or at in rejected_by_holm(p, corrected + 1e-9)


@pytest.mark.parametrize("test", ["range", "sign flip", "signed rank"])
def test_the_best_group_holds_what_is_not_significantly_worse(test: Test) -> None:
    base = np.random.default_rng(0).normal(0.8, 0.05, size=(3, 12))
    noise = np.random.default_rng(1).normal(0, 0.01, size=(3, 12))
    low = base - 0.1 + 0.1 * noise
    values = np.stack([base, base + noise - noise.mean() - 0.001, low, low - noise, low - 0.3 + noise])
    found = compare(values, np.ones((3, 12), dtype=bool), test=test)
    assert found.best == 0
    assert list(found.tier) == [1, 1, 2, 2, 3]
    assert np.isnan(found.p[0])
    assert found.p_adjusted[1] > 0.05 > found.p_adjusted[2]
    assert (found.units, found.why) == (12, "")


def test_methods_with_a_hole_take_no_part(rng: np.random.Generator) -> None:
    values, members = rng.random((4, 3, 8)), np.ones((3, 8), dtype=bool)
    values[1] = 0.999
    values[1, 2, 5] = np.nan
    eligible = np.array([True, True, True, False])
    found = compare(values, members, eligible)
    assert found.tier[1] == found.tier[3] == 0
    assert found.best in {0, 2}
    assert np.isnan(found.p_adjusted[[1, 3]]).all()
    # A hole outside the group does not matter.
    members[2, 5] = False
    assert compare(values, members, eligible).best == 1


def test_few_categories_cannot_show_a_difference_and_say_so() -> None:
    values = np.stack([np.full((5, 4), 0.9), np.full((5, 4), 0.1)])
    members = np.ones((5, 4), dtype=bool)
    found = compare(values, members)
    assert found.why == "4 categories cannot show a difference at level 0.05: the smallest p is 0.12"
    assert list(found.tier) == [1, 1]
    assert list(compare(values, members, unit="category x seed").tier) == [1, 2]


def test_pairs_are_corrected_together(rng: np.random.Generator) -> None:
    values, members = rng.random((4, 2, 10)), np.ones((2, 10), dtype=bool)
    values[3, 0, 0] = np.nan
    matrix = pairwise(values, members)
    parts = contributions(values, members)
    raw = sign_flip(np.array([parts[0] - parts[1], parts[0] - parts[2], parts[1] - parts[2]]))
    assert np.allclose([matrix[0, 1], matrix[0, 2], matrix[1, 2]], holm(raw))
    assert np.array_equal(matrix[:3, :3], matrix[:3, :3].T)
    assert np.isnan(matrix[3]).all()


def test_seeds_of_one_category_are_not_independent_witnesses() -> None:
    """Two methods that are equal over categories, each category favouring one of them with all its seeds."""
    rng = np.random.default_rng(5)
    members = np.ones((5, 12), dtype=bool)
    differences = {"category": list[np.ndarray](), "category x seed": list[np.ndarray]()}
    for _ in range(300):
        drawn = rng.normal(0, np.sqrt(0.5), size=12) + rng.normal(0, np.sqrt(0.5), size=(5, 12))
        for unit, found in differences.items():
            found.append(contributions(drawn[None], members, unit)[0])
    rejected = {unit: np.mean(sign_flip(np.array(found)) <= 0.05) for unit, found in differences.items()}
    assert 0.02 < rejected["category"] < 0.08
    assert rejected["category x seed"] > 0.15


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


def test_two_methods_alone_make_the_range_test_the_paired_one(rng: np.random.Generator) -> None:
    for count in (6, 30):
        parts = rng.normal(size=(2, count)) + np.array([[0.5], [0]])
        worse = int(np.argmin(parts.sum(axis=1)))
        assert range_test(parts)[worse] == pytest.approx(sign_flip(parts[:1] - parts[1:])[0], abs=0.02)


def test_what_all_methods_share_does_not_matter(rng: np.random.Generator) -> None:
    parts = rng.normal(size=(5, 9))
    assert range_test(parts + 50 * rng.normal(size=9)) == pytest.approx(range_test(parts))


@pytest.mark.parametrize(("count", "unequal"), [(12, 0), (4, 8)])
def test_an_equal_method_is_excluded_in_five_of_a_hundred_tables_at_most(count: int, unequal: int) -> None:
    """The best is found in the data: Holm's correction over its rivals alone does not allow for that."""
    rng, members, tables = np.random.default_rng(3), np.ones((1, 12), dtype=bool), 400
    wrong = {"range": 0, "sign flip": 0}
    for _ in range(tables):
        values = rng.normal(0, 0.03, size=(count + unequal, 1, 12))
        values[count:] -= 0.25
        for test in ("range", "sign flip"):
            wrong[test] += bool((compare(values, members, test=test).tier[:count] != 1).any())
    # Three standard errors of 400 tables above 5 %.
    assert wrong["range"] / tables < 0.083
    assert wrong["range"] <= wrong["sign flip"]


def test_a_method_that_is_worse_by_far_is_told_from_the_best_with_few_categories() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.9, 0.02, size=(8, 3, 6))
    values[5:] -= 0.3
    members = np.ones((3, 6), dtype=bool)
    assert (compare(values, members).tier[5:] > 1).all()
    assert (compare(values, members, test="sign flip").tier == 1).all()
