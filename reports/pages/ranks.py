"""Significance of a board's differences: ranks with intervals, tie groups, tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ltbench.reports.boards import Metric
from ltbench.reports.cube import ALL
from ltbench.reports.entries import Entry
from ltbench.reports.leaderboard import GROUP_TITLES, Sheet
from ltbench.reports.numbers import Number
from ltbench.reports.page import File, Page, Site
from ltbench.reports.statistics.standings import Standing
from ltbench.reports.tables import Column


@dataclass(frozen=True)
class Ranking:
    """Ranked methods of one column, best first; rare categories and all."""

    group: str
    title: str
    column: Column
    """Column of the scores, with its significance test."""
    rows: tuple[tuple[Entry, Number, Standing], ...]


def is_wanted(_site: Site, sheet: Sheet) -> bool:
    """Whether at least two methods are ranked."""
    return sum(entry.is_ranked for entry in sheet.board.entries) > 1


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    board = sheet.board
    metrics = [(metric, list(_rankings(sheet, metric))) for metric in board.metrics]
    yield site.page(
        PAGE.file(board.name),
        "ranks",
        PAGE,
        sheet,
        metrics=[(metric, rankings) for metric, rankings in metrics if rankings],
        probability=probability,
        finite=math.isfinite,
    )


def _rankings(sheet: Sheet, metric: Metric) -> Iterator[Ranking]:
    table = next(table for table in sheet.metrics if table.columns[0].key.startswith(f"{metric.name}."))
    for position, column in enumerate(table.columns):
        group = column.key.partition(".")[2]
        if group not in ("tail", "low", ALL):
            continue
        rows = [
            (line.entry, number, number.standing)
            for line in table.lines
            if (number := line.numbers[position]).standing is not None
        ]
        if rows:
            rows.sort(key=lambda row: row[2].rank)
            yield Ranking(group, GROUP_TITLES.get(group, group), column, tuple(rows))


def probability(value: float) -> str:
    """A p value: "0.031", "< 0.001", "" for none."""
    if math.isnan(value):
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


PAGE = Page("ranks", "Ranks", 15, build_board=build_board, is_wanted=is_wanted)
