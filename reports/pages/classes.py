"""Every category of a board: methods by categories for each metric, and their numbers of training images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from ltbench.reports.boards import Board
from ltbench.reports.cells import Footnotes, method_cell, number_cell
from ltbench.reports.details import table_details
from ltbench.reports.leaderboard import TINTS, Sheet
from ltbench.reports.page import File, Page, Site
from ltbench.reports.tables import Table


@dataclass(frozen=True)
class Heading:
    """A category as a column header."""

    name: str
    size: str
    """Training images: "4" or, where seeds differ, "4–97"."""
    tint: str
    """Group if it is the same in every seed."""


@dataclass(frozen=True)
class SizeRow:
    """A category's images by seed."""

    category: str
    tested: str
    by_seed: tuple[tuple[str, str], ...]
    """(text, tint) per seed."""


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    board = sheet.board
    notes = Footnotes("note-")
    yield site.page(
        PAGE.file(board.name),
        "classes",
        PAGE,
        sheet,
        headings=[_heading(board, name) for name in board.categories],
        tables=[(table, _rows(table, notes, f"{board.name}.runs.html")) for table in sheet.classes],
        details={
            table.name: table_details(board.categories, table.lines, [line.numbers for line in table.lines])
            for table in sheet.classes
            if not site.is_large
        },
        notes=notes,
        sizes=[_sizes(board, name) for name in board.categories],
    )


def _rows(table: Table, notes: Footnotes, runs: str) -> list[Markup]:
    rows = []
    for line in table.lines:
        kind = "baseline" if line.entry.is_baseline else "" if line.entry.is_ranked else "unranked"
        cells = [number_cell(n, c, notes) for n, c in zip(line.numbers, table.columns, strict=True)]
        count = Markup('<td class="n"><a href="{}#{}">{}/{}</a>').format(
            runs, line.entry.anchor, len(line.entry.finished), len(line.entry.asked)
        )
        head = method_cell(line.entry, with_facts=False)
        mark = Markup(' class="{}"').format(kind) if kind else ""
        opening = Markup('<tr{} data-row="{}">').format(mark, line.entry.anchor)
        rows.append(opening + head + count + Markup("").join(cells))
    return rows


def _heading(board: Board, category: str) -> Heading:
    rows = {seed: board.counts(seed)[category] for seed in board.seeds if category in board.counts(seed)}
    sizes = [row.n_train for row in rows.values()]
    groups = {row.group for row in rows.values()}
    size = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)}–{max(sizes)}"
    return Heading(category, size, TINTS.get(groups.pop(), "") if len(groups) == 1 else "")


def _sizes(board: Board, category: str) -> SizeRow:
    cells = []
    tested = set()
    for seed in board.seeds:
        row = board.counts(seed).get(category)
        if row is None:
            cells.append(("none", ""))
            continue
        defects = f" + {row.n_train_defects}" if row.n_train_defects else ""
        cells.append((f"{row.n_train_good}{defects}", TINTS.get(row.group, "")))
        tested.add(f"{row.n_test_good} good, {row.n_test_defects} defective")
    return SizeRow(category, "; ".join(sorted(tested)), tuple(cells))


PAGE = Page("classes", "Per class", 20, build_board=build_board)
