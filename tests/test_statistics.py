"""Paired tests, ranks and standings: against scipy, scikit-posthocs and plain enumeration."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports.aggregate import KEY, board
from reports.statistics.paired import compare, contributions, holm, pairwise, sign_flip, signed_rank
from reports.statistics.ranking import (
    cliques,
    critical_difference,
    friedman,
    nemenyi,
    rank_intervals,
    ranks,
)
from reports.statistics.standings import STANDINGS, standings
from results.schema import METRICS, table


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def groups(rng: np.random.Generator, seeds: int = 4, categories: int = 9) -> np.ndarray:
    """(seed, category): another third of the categories in each seed."""
    members = np.zeros((seeds, categories), dtype=bool)
    for row in members:
        row[rng.permutation(categories)[: categories // 3 + int(rng.integers(2))]] = True
    return members


# --- paired tests ---------------------------------------------------------------------------------------


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


def test_holm_is_the_correction_of_statsmodels(rng: np.random.Generator) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is the oracle")
    for _ in range(20):
        p = rng.random(int(rng.integers(1, 12))) ** 3
        assert np.allclose(holm(p), multitest.multipletests(p, method="holm")[1])


def test_the_best_group_holds_what_is_not_significantly_worse() -> None:
    base = np.random.default_rng(0).normal(0.8, 0.05, size=(3, 12))
    noise = np.random.default_rng(1).normal(0, 0.01, size=(3, 12))
    values = np.stack([base, base + noise - noise.mean() - 0.001, base - 0.1, base - 0.1 + noise, base - 0.4])
    found = compare(values, np.ones((3, 12), dtype=bool))
    assert found.best == 0
    assert list(found.tier) == [1, 1, 2, 2, 3]
    assert np.isnan(found.p[0])
    assert found.p_holm[1] > 0.05 > found.p_holm[2]
    assert (found.units, found.why) == (12, "")


def test_methods_with_a_hole_take_no_part(rng: np.random.Generator) -> None:
    values, members = rng.random((4, 3, 8)), np.ones((3, 8), dtype=bool)
    values[1] = 0.999
    values[1, 2, 5] = np.nan
    eligible = np.array([True, True, True, False])
    found = compare(values, members, eligible)
    assert found.tier[1] == found.tier[3] == 0
    assert found.best in {0, 2}
    moved = rank_intervals(values, members, eligible)
    assert np.isnan(moved.rank[[1, 3]]).all()
    assert sorted(moved.rank[[0, 2]]) == [1, 2]
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


# --- ranks ----------------------------------------------------------------------------------------------


def test_ranks_count_from_the_best_and_share_ties() -> None:
    assert ranks(np.array([[0.9, 0.5, 0.9, 0.1]])).tolist() == [[1.5, 3, 1.5, 4]]


@pytest.mark.parametrize("decimals", [9, 0])
def test_friedman_is_scipys_with_and_without_ties(rng: np.random.Generator, decimals: int) -> None:
    values = (rng.normal(size=(13, 5)) + 0.3 * np.arange(5)).round(decimals)
    found, scipys = friedman(values), stats.friedmanchisquare(*values.T)
    assert found.chi2 == pytest.approx(scipys.statistic)
    assert found.p == pytest.approx(scipys.pvalue)
    assert found.f == pytest.approx(12 * found.chi2 / (13 * 4 - found.chi2))
    assert found.f_p < found.p


def test_friedman_of_one_order_in_every_category_leaves_no_doubt() -> None:
    found = friedman(np.tile(np.arange(4.0), (6, 1)))
    assert (found.f, found.f_p) == (np.inf, 0.0)
    assert np.isnan(friedman(np.ones((6, 4))).p)
    assert np.isnan(friedman(np.ones((1, 4))).p)


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


def test_nemenyi_is_that_of_scikit_posthocs(rng: np.random.Generator) -> None:
    posthocs = pytest.importorskip("scikit_posthocs", reason="scikit-posthocs is the oracle")
    values = rng.normal(size=(10, 6)) + 0.3 * np.arange(6)
    assert np.allclose(nemenyi(values), posthocs.posthoc_nemenyi_friedman(values).to_numpy(), atol=1e-9)


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


# --- whole tables ---------------------------------------------------------------------------------------


def results(methods: int, seeds: int = 3, categories: int = 8, splits: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows = [
        {
            "dataset": "parts", "split": f"split{split}", "split_digest": f"{split}.{seed}", "seed": seed,
            "method": "chance" if method == 0 else f"m{method}", "config_digest": f"c{method}", "view": "v",
            "category": f"c{category}", "group": "tail" if (category + seed) % 3 == 0 else "head",
            "metric": metric, "recipe": metric, "status": "ok",
            "value": float(np.clip(0.5 + 0.4 * method / methods + rng.normal(0, 0.03), 0, 1)),
        }
        for split, seed, method, category, metric in itertools.product(
            range(splits), range(seeds), range(methods), range(categories), ("image_auroc", "aupro")
        )
    ]  # fmt: skip
    return table(rows, METRICS).to_pandas()


def test_standings_stand_in_the_order_of_the_board() -> None:
    given = results(5)
    found, numbers = standings(given), board(given)
    assert tuple(found.columns) == STANDINGS
    key = list(KEY)
    assert found[key].equals(numbers[key])
    assert (found["tier"] > 0).equals(numbers["ranked"])
    ranked = numbers["ranked"]
    assert ((found["ci_low"] <= numbers["mean"]) & (numbers["mean"] <= found["ci_high"])).all()
    order = numbers[ranked].groupby(["metric", "group"])["mean"].rank(ascending=False)
    assert (found.loc[ranked, "rank"] == order).all()
    assert found.loc[~ranked, ["rank", "p", "average_rank"]].isna().all().all()
    assert (found[found["rank"] == 1]["tier"] == 1).all()


def test_an_unfinished_method_is_in_no_comparison() -> None:
    given = results(4)
    without = given[~((given["method"] == "m3") & (given["seed"] == 2))]
    found = standings(without)
    assert (found[found["method"] == "m3"]["tier"] == 0).all()
    rest = given[given["method"] != "m3"]
    columns = ["rank", "tier", "p_holm", "average_rank", "critical_difference"]
    others = found[found["method"] != "m3"].reset_index(drop=True)
    pd.testing.assert_frame_equal(others[columns], standings(rest)[columns])


def test_standings_of_nothing_are_empty() -> None:
    assert list(standings(table([], METRICS).to_pandas()).columns) == list(STANDINGS)


def test_standings_of_many_methods_take_a_second_at_most() -> None:
    given = results(20, seeds=5, categories=15, splits=2)
    start = time.perf_counter()
    found = standings(given)
    assert time.perf_counter() - start < 5.0
    assert len(found) == 20 * 2 * 2 * 3
