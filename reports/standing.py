"""Where a method stands in a column, and whether that can be told from chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ltbench.reports.boards import Board
from ltbench.reports.statistics.standings import standings

Place = tuple[str, str, str, str]
"""(method, configuration digest, metric, group)."""


@dataclass(frozen=True)
class Standing:
    """Standing of one method in one column; see `ltbench.reports.statistics.standings`."""

    rank: float
    rank_low: float
    rank_high: float
    share_best: float
    tier: int
    """1 = the best group: not significantly worse than the best; 2 = the next one ..."""
    p_adjusted: float
    """Against the best; NaN for the best itself."""
    average_rank: float


@dataclass(frozen=True)
class Test:
    """What one column's comparisons rest on."""

    units: int
    """Categories."""
    friedman_p: float
    critical_difference: float
    note: str
    """Why no difference can be significant; "" if one can."""


@dataclass(frozen=True)
class Standings:
    """Of all columns of a board."""

    methods: Mapping[Place, Standing]
    """Ranked methods only."""
    tests: Mapping[tuple[str, str], Test]
    """By metric and group."""
    intervals: Mapping[Place, tuple[float, float]]
    """95 % interval of the mean over seeds, where there are two seeds."""

    def note(self, metric: str, group: str) -> str:
        """Why no best group stands out in a column; "" if one does."""
        tiers = [one.tier for place, one in self.methods.items() if place[2:] == (metric, group)]
        if len(tiers) > 1 and max(tiers) == 1:
            return self.tests[metric, group].note or "the test tells no method from the best"
        return ""


def board_standings(board: Board) -> Standings:
    """Ranks, tie groups and intervals of every number of a board."""
    methods: dict[Place, Standing] = {}
    tests: dict[tuple[str, str], Test] = {}
    intervals: dict[Place, tuple[float, float]] = {}
    rows = board.rows
    # The tests look for the highest mean; an interval of fractions is cut at 0 and 1.
    fractions = {metric.name for metric in board.metrics if metric.unit == "%"}
    falling = [metric.name for metric in board.metrics if not metric.higher_is_better]
    if falling:
        rows = rows.assign(value=rows["value"].where(~rows["metric"].isin(falling), 1 - rows["value"]))
    for row in standings(rows, board.wanted).itertuples(index=False):
        place = (row.method, row.config_digest, row.metric, row.group)
        tests.setdefault(
            (row.metric, row.group),
            Test(int(row.units), float(row.friedman_p), float(row.critical_difference), str(row.note)),
        )
        if row.metric in fractions and not math.isnan(row.ci_low):
            ends = (float(row.ci_low), float(row.ci_high))
            intervals[place] = (1 - ends[1], 1 - ends[0]) if row.metric in falling else ends
        if row.tier:
            methods[place] = Standing(
                rank=float(row.rank),
                rank_low=float(row.rank_low),
                rank_high=float(row.rank_high),
                share_best=float(row.share_best),
                tier=int(row.tier),
                p_adjusted=float(row.p_adjusted),
                average_rank=float(row.average_rank),
            )
    return Standings(methods, tests, intervals)
