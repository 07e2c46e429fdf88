"""Ranks and standings: against scipy, scikit-posthocs and plain enumeration."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ltbench.reports.aggregate import KEY, board
from ltbench.reports.statistics.ranking import (
    cliques,
    critical_difference,
    friedman,
    nemenyi,
    rank_intervals,
    ranks,
)
from ltbench.reports.statistics.standings import STANDINGS, standings
from ltbench.results.schema import METRICS, table


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
    columns = ["rank", "tier", "p_adjusted", "average_rank", "critical_difference"]
    others = found[found["method"] != "m3"].reset_index(drop=True)
    pd.testing.assert_frame_equal(others[columns], standings(rest)[columns])


def test_standings_of_nothing_are_empty() -> None:
    assert list(standings(table([], METRICS).to_pandas()).columns) == list(STANDINGS)


def test_standings_of_many_methods_take_a_second_at_most() -> None:
    given = results(20, seeds=5, categories=15, splits=2)
    start = time.process_time()
    found = standings(given)
    assert time.process_time() - start < 5.0
    assert len(found) == 20 * 2 * 2 * 3
