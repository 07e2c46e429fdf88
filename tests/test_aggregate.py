"""Group means, spreads, holes and protocol conflicts, against plain loops over the same rows."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ltbench.reports.aggregate import BOARD, board
from ltbench.reports.conflicts import protocol_conflicts
from ltbench.results.errors import ResultsError
from ltbench.results.schema import METRICS, table

CATEGORIES = ("bolt", "cable", "gear", "mesh", "wood")
METHODS = ("chance", "padim", "patchcore")
NAMES = ("image_auroc", "aupro")


def group_of(category: str, seed: int) -> str:
    """Which categories are rare changes from seed to seed."""
    return "tail" if (CATEGORIES.index(category) + seed) % 3 == 0 else "head"


def row(
    method: str, seed: int, category: str, metric: str, value: float | None, **other: Any
) -> dict[str, Any]:
    return {
        "dataset": "parts", "data_digest": "d0", "split": "step", "split_digest": f"s{seed}", "seed": seed,
        "method": method, "config_digest": f"c-{method}", "view": "v224", "category": category,
        "group": group_of(category, seed), "metric": metric, "recipe": f"r-{metric}", "value": value,
        "why": "" if value is not None else "no maps", "status": "ok", "error": "", "fit_seconds": 2.0 + seed,
        **other,
    }  # fmt: skip


def rows(
    methods: Sequence[str] = METHODS, seeds: Sequence[int] = (1, 2, 3), seed: int = 0, **other: Any
) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    places = itertools.product(methods, seeds, CATEGORIES, NAMES)
    return [row(m, s, c, k, float(rng.random()), **other) for m, s, c, k in places]


def frame(of: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return table(of, METRICS).to_pandas()


def number(found: pd.DataFrame, **key: str) -> pd.Series:
    for name, value in key.items():
        found = found[found[name] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_a_number_is_the_mean_over_seeds_of_the_mean_over_the_group() -> None:
    given = rows()
    found = board(frame(given))
    assert tuple(found.columns) == BOARD
    assert len(found) == len(METHODS) * len(NAMES) * 3
    for line in found.itertuples(index=False):
        by_seed = []
        for seed in (1, 2, 3):
            values = [
                r["value"]
                for r in given
                if (r["method"], r["metric"], r["seed"]) == (line.method, line.metric, seed)
                and line.group in ("all", r["group"])
            ]
            by_seed.append(statistics.fmean(values))
        assert line.mean == pytest.approx(statistics.fmean(by_seed), abs=1e-14)
        assert line.sd == pytest.approx(statistics.stdev(by_seed), abs=1e-14)
        assert (line.n_seeds, line.expected_seeds, line.why) == (3, 3, "")


def test_the_baseline_is_shown_and_not_ranked() -> None:
    found = board(frame(rows()))
    assert set(found[found["ranked"]]["method"]) == {"padim", "patchcore"}
    assert found[found["method"] == "chance"]["mean"].notna().all()


def test_one_empty_category_leaves_no_mean_and_says_which() -> None:
    given = rows()
    hole = next(r for r in given if (r["method"], r["seed"], r["metric"]) == ("padim", 2, "aupro"))
    hole.update(value=None, why="no defective image")
    found = board(frame(given))
    told = number(found, method="padim", metric="aupro", group="all")
    assert np.isnan(told["mean"])
    assert np.isnan(told["sd"])
    assert not told["ranked"]
    assert told["why"] == f"no value for {hole['category']} with seed 2: no defective image"
    other = "head" if hole["group"] == "tail" else "tail"
    assert number(found, method="padim", metric="aupro", group=other)["ranked"]


def test_zero_is_a_value_and_not_a_hole() -> None:
    given = rows(methods=["padim"])
    for r in given:
        r["value"] = 0.0
    assert (board(frame(given))["mean"] == 0.0).all()


def test_a_row_that_is_absent_is_a_hole() -> None:
    given = [r for r in rows() if (r["method"], r["category"], r["metric"]) != ("padim", "gear", "aupro")]
    told = number(board(frame(given)), method="padim", metric="aupro", group="all")
    assert np.isnan(told["mean"])
    assert told["why"].startswith("no value for gear with seed 1: no row in the results (and 2 more")


def test_a_method_without_the_metric_has_a_line_for_it() -> None:
    given = [r for r in rows() if (r["method"], r["metric"]) != ("padim", "aupro")]
    told = number(board(frame(given)), method="padim", metric="aupro", group="all")
    assert told["why"].startswith("no value for any of 5 categories with seed 1: no row in the results")


def test_a_failed_seed_is_missing_and_the_method_not_ranked() -> None:
    given = rows()
    for r in given:
        if (r["method"], r["seed"]) == ("patchcore", 3):
            r.update(value=None, why="the run ended: oom", status="oom", error="out of memory")
    told = number(board(frame(given)), method="patchcore", metric="aupro", group="all")
    means = [
        statistics.fmean(r["value"] for r in given if r["method"] == "patchcore" and r["metric"] == "aupro"
                         and r["seed"] == seed)
        for seed in (1, 2)
    ]  # fmt: skip
    assert told["mean"] == pytest.approx(statistics.fmean(means))
    assert (told["n_seeds"], told["expected_seeds"], bool(told["ranked"])) == (2, 3, False)
    assert told["why"] == "seed 3 ended with 'oom': out of memory"


def test_seeds_that_a_suite_asks_for_count_as_expected() -> None:
    given = frame(rows())
    told = board(given, {("parts", "step"): [1, 2, 3, 4]})
    assert (told["expected_seeds"] == 4).all()
    assert not told["ranked"].any()
    assert set(told["why"]) == {"seed 4 has not been run"}
    assert (told["n_categories"] > 0).all()
    fewer = board(given, {("parts", "step"): [1, 3]})
    assert (fewer["n_seeds"] == 2).all()
    assert fewer.equals(board(given[given["seed"] != 2]))


def test_a_method_that_ran_no_asked_seed_keeps_its_line() -> None:
    given = [r for r in rows() if r["method"] != "padim" or r["seed"] == 3]
    told = number(
        board(frame(given), {("parts", "step"): [1, 2]}), method="padim", metric="aupro", group="all"
    )
    assert told["why"] == "seed 1 has not been run; seed 2 has not been run"
    assert np.isnan(told["mean"])


def test_one_seed_has_a_mean_and_no_spread() -> None:
    found = board(frame(rows(seeds=[7])))
    assert found["mean"].notna().all()
    assert found["sd"].isna().all()


def test_without_groups_there_is_only_all() -> None:
    assert set(board(frame(rows(group="")))["group"]) == {"all"}


def test_groups_come_rare_first() -> None:
    assert list(board(frame(rows()))["group"].unique()) == ["tail", "head", "all"]


def test_an_empty_frame_gives_an_empty_board() -> None:
    empty = frame([])
    assert board(empty).empty
    assert list(board(empty).columns) == list(BOARD)
    assert protocol_conflicts(empty).empty


def test_one_place_cannot_have_two_values() -> None:
    with pytest.raises(
        ResultsError, match=r"two rows give image_auroc of 'bolt' for method 'chance'.*seed 1"
    ):
        board(frame([*rows(), row("chance", 1, "bolt", "image_auroc", 0.4)]))


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("view", "v448", "the evaluation view"),
        ("data_digest", "d9", "the data digest"),
        ("split_digest", "s9", "the split digest of this seed"),
        ("recipe", "200 bins", "the recipe of this metric"),
        ("group", "rare", "the group of this category"),
    ],
)
def test_rows_of_another_protocol_are_found_and_refused(column: str, value: str, what: str) -> None:
    given = rows()
    changed = [
        i for i, r in enumerate(given) if (r["method"], r["seed"], r["metric"]) == ("padim", 2, "aupro")
    ]
    for i in changed:
        given[i][column] = value
    whole = frame(given)
    conflicts = protocol_conflicts(whole)
    assert list(conflicts.index) == changed
    assert set(conflicts["what"]) == {what}
    assert set(conflicts["found"]) == {value}
    assert conflicts["why"].str.contains("method 'padim'").all()
    with pytest.raises(ResultsError, match=f"{len(changed)} of {len(given)} rows .* {what} is '{value}'"):
        board(whole)
    assert not board(whole.drop(conflicts.index)).empty


def test_splits_and_seeds_may_differ_in_their_digests() -> None:
    other = [{**r, "split": "pareto", "split_digest": f"p{r['seed']}"} for r in rows()]
    assert protocol_conflicts(frame([*rows(), *other])).empty


def test_of_two_equally_common_protocols_the_order_of_rows_does_not_choose() -> None:
    given = rows(methods=["padim", "patchcore"])
    for r in given:
        r["view"] = "a" if r["method"] == "patchcore" else "b"
    for ordered in (given, given[::-1]):
        assert set(protocol_conflicts(frame(ordered))["method"]) == {"padim"}


def test_a_hundred_thousand_rows_take_seconds_at_most() -> None:
    categories = pd.DataFrame({"category": [f"c{i}" for i in range(100)]})
    base = frame(rows(methods=[f"m{i}" for i in range(35)]))
    many = (
        base.drop(columns="category")
        .drop_duplicates(["method", "seed", "metric"])
        .merge(categories, how="cross")
    )
    many = pd.concat([many.assign(split=f"s{i}", group="") for i in range(5)], ignore_index=True)
    assert len(many) > 100_000
    start = time.process_time()
    found = board(many)
    assert time.process_time() - start < 5.0
    assert len(found) == 5 * 35 * len(NAMES)
