"""Ranks and tie groups of one column of a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltbench.reports.statistics.ranking import critical_difference, friedman, rank_intervals, ranks
from ltbench.reports.statistics.ties import compare

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Standing:
    """Place of a method in its column, and how sure it is."""

    rank: float
    rank_low: float
    """Ends of the 95 % interval when categories and seeds are drawn again."""
    rank_high: float
    share_best: float
    """Share of these draws in which the method comes first."""
    tier: int
    """1 = the best group: not significantly worse than the best; 2 = the next one ..."""
    p: float
    """p-value of the range test against the best; NaN for the best itself."""
    average_rank: float
    """Mean rank over categories, 1 = best, as in a critical-difference diagram."""


@dataclass(frozen=True)
class Test:
    """Significance tests of one column: categories, Friedman's p-value and critical difference."""

    categories: int
    friedman_p: float
    critical_difference: float
    """Nemenyi's critical difference, in average ranks."""
    note: str
    """Reason why no best group stands out; "" if one does."""


def standings(values: Floats, members: Bools, eligible: Bools) -> tuple[list[Standing | None], Test]:
    """Standing of every method, None for those that take no part, and the column's test.

    Args:
        values: (method, seed, category), higher = better.
        members: (seed, category): which categories are in the column's group.
        eligible: (method,): False for unfinished methods and the baseline. A method with a hole among the
            members takes no part either.
    """
    tested = compare(values, members, eligible)
    moved = rank_intervals(values, members, eligible)
    taking_part = np.flatnonzero(tested.tier)
    # Ranks have no weight: a category that few seeds have in the group counts as much as any other.
    seeds = np.maximum(members.sum(axis=0), 1)
    sums = np.where(members, values[taking_part], 0.0).sum(axis=1)
    blocks = (sums / seeds)[:, members.any(axis=0)].T
    average = np.full(len(values), np.nan)
    differ, distance = math.nan, math.nan
    if len(taking_part) > 1 and len(blocks):
        average[taking_part] = ranks(blocks).mean(axis=0)
        differ, distance = friedman(blocks), critical_difference(*blocks.shape[::-1])
    found: list[Standing | None] = [None] * len(values)
    for method in taking_part:
        found[method] = Standing(
            rank=float(moved.rank[method]),
            rank_low=float(moved.low[method]),
            rank_high=float(moved.high[method]),
            share_best=float(moved.share_best[method]),
            tier=int(tested.tier[method]),
            p=float(tested.p[method]),
            average_rank=float(average[method]),
        )
    nobody_stands_out = len(taking_part) > 1 and tested.tier.max() == 1
    note = (tested.why or "the test tells no method from the best") if nobody_stands_out else ""
    return found, Test(tested.categories, differ, distance, note)
