"""Intervals, ranks and tie groups of every number of every table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ltbench.reports.aggregate import KEY
from ltbench.reports.cube import Asked, Cube, cubes
from ltbench.reports.entries import BASELINE
from ltbench.reports.statistics.intervals import LEVEL, seed_interval
from ltbench.reports.statistics.paired import Unit
from ltbench.reports.statistics.ranking import Friedman, critical_difference, friedman, rank_intervals, ranks
from ltbench.reports.statistics.ties import Comparison, Test, compare

STANDINGS = (
    *KEY,
    "ci_low",
    "ci_high",
    "rank",
    "rank_low",
    "rank_high",
    "share_best",
    "tier",
    "p",
    "p_adjusted",
    "average_rank",
    "friedman_p",
    "critical_difference",
    "units",
    "note",
)
"""Columns of `standings`."""


def standings(
    frame: pd.DataFrame,
    asked: Asked | None = None,
    *,
    test: Test = "range",
    unit: Unit = "category",
    level: float = LEVEL,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per number of a table, in the order of `ltbench.reports.aggregate.board`; columns STANDINGS.

    ci_low, ci_high         Student's interval of the mean over seeds (`seed_interval`)
    rank, rank_low/_high    place in the table, and the interval when categories and seeds are drawn again
    share_best              share of these draws in which the method comes first
    tier                    1 = the best group: the best and all that are not significantly worse;
                            2 = the same among the others ...; 0 = not ranked
    p                       paired sign-flip test against the best alone; NaN for the best itself
    p_adjusted              with all its rivals taken into account; the tiers are made from it (`ties.Test`)
    average_rank            mean rank over categories (1 = best), as in a critical-difference diagram
    friedman_p              Iman and Davenport's form of Friedman's test: do the methods differ at all?
    critical_difference     Nemenyi's, in average ranks
    units                   observations per test: categories, or categories x seeds
    note                    why no difference can be significant; "" if one can

    Methods that are not ranked (a seed is missing, a category has no value, the baseline) take no part in any
    comparison; their columns are NaN.
    """
    blocks = [
        _numbers(cube, metric, group, test=test, unit=unit, level=level, seed=seed)
        for cube in cubes(frame, asked)
        for metric in range(len(cube.metrics))
        for group in cube.group_names
    ]
    columns: dict[str, Any] = {
        name: np.concatenate([block[name] for block in blocks]) if blocks else [] for name in STANDINGS
    }
    return pd.DataFrame(columns, columns=list(STANDINGS))


def _numbers(
    cube: Cube, metric: int, group: str, *, test: Test, unit: Unit, level: float, seed: int
) -> dict[str, Any]:
    values, members = cube.values[:, metric], cube.members(group)
    is_baseline = np.array([method == BASELINE for method, _ in cube.configs], dtype=bool)
    eligible = cube.finished.all(axis=1) & ~is_baseline
    tested = compare(values, members, eligible, test=test, unit=unit, level=level, seed=seed)
    moved = rank_intervals(values, members, eligible, level=level, seed=seed)
    average, differ, distance = _over_categories(values, members, tested, level)
    low, high = _seed_intervals(values, members, cube.finished, level)
    count = len(cube.configs)

    def every(value: Any) -> npt.NDArray[Any]:
        return np.full(count, value, dtype=object if isinstance(value, str) else None)

    return {
        "dataset": every(cube.dataset),
        "split": every(cube.split),
        "method": np.array([method for method, _ in cube.configs], dtype=object),
        "config_digest": np.array([digest for _, digest in cube.configs], dtype=object),
        "metric": every(cube.metrics[metric]),
        "group": every(group),
        "ci_low": low,
        "ci_high": high,
        "rank": moved.rank,
        "rank_low": moved.low,
        "rank_high": moved.high,
        "share_best": moved.share_best,
        "tier": tested.tier,
        "p": tested.p,
        "p_adjusted": tested.p_adjusted,
        "average_rank": average,
        "friedman_p": every(differ.f_p),
        "critical_difference": every(distance),
        "units": every(tested.units),
        "note": every(tested.why),
    }


def _over_categories(
    values: npt.NDArray[np.float64], members: npt.NDArray[np.bool_], tested: Comparison, level: float
) -> tuple[npt.NDArray[np.float64], Friedman, float]:
    """Average ranks (method,), Friedman's test and the critical difference; a block is a category."""
    average = np.full(len(values), np.nan)
    taking_part = np.flatnonzero(tested.tier)
    # Ranks have no weight: a category that few seeds have in the group counts as much as any other.
    seeds = np.maximum(members.sum(axis=0), 1)
    sums = np.where(members, values[taking_part], 0.0).sum(axis=1)
    blocks = (sums / seeds)[:, members.any(axis=0)].T
    if len(taking_part) < 2 or not len(blocks):
        return average, Friedman(math.nan, math.nan, math.nan, math.nan), math.nan
    average[taking_part] = ranks(blocks).mean(axis=0)
    return average, friedman(blocks), critical_difference(len(taking_part), len(blocks), level)


def _seed_intervals(
    values: npt.NDArray[np.float64],
    members: npt.NDArray[np.bool_],
    finished: npt.NDArray[np.bool_],
    level: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    sizes = np.where(members.any(axis=1), members.sum(axis=1), np.nan)
    means = np.where(members, values, 0.0).sum(axis=2) / sizes  # method, seed
    found = [seed_interval(line[done], level) for line, done in zip(means, finished, strict=True)]
    return np.array([ci.low for ci in found]), np.array([ci.high for ci in found])
