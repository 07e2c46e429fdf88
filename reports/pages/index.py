"""The first page: every board, its best methods, and all methods across all boards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ltbench.reports.boards import Board
from ltbench.reports.cube import ALL
from ltbench.reports.entries import Entry
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.material import Material
from ltbench.reports.numbers import Number
from ltbench.reports.page import File, Page, Site
from ltbench.reports.tables import Column, Table
from ltbench.results.asked import Suite
from ltbench.results.places import below
from ltbench.results.status import Status


@dataclass(frozen=True)
class Leader:
    """The best of a column: names, the number, and what column."""

    names: tuple[str, ...]
    number: Number
    column: Column
    is_tested: bool
    """Whether a test could distinguish the best from the others."""


@dataclass(frozen=True)
class Overview:
    """A line of the list of boards."""

    sheet: Sheet
    ranked: int
    shown: int
    failed: int
    has_rare: bool
    leaders: tuple[Leader | None, ...]
    """Best methods by the main metric: on the rare group if there is one, and on all categories."""


@dataclass(frozen=True)
class SuiteProgress:
    """Finished and requested cells of a suite."""

    suite: Suite
    done: int
    asked: int


@dataclass(frozen=True)
class Across:
    """Methods by boards for one group of the main metric."""

    title: str
    group: str
    boards: tuple[Board, ...]
    rows: tuple[tuple[Entry, tuple[tuple[Number, Column, str] | None, ...]], ...]


def build(site: Site) -> Iterable[File]:
    """index.html; without a result, what to run."""
    yield site.page(
        "index.html",
        "index" if site.sheets else "empty",
        PAGE,
        overviews=[_overview(one) for one in site.sheets],
        suites=list(_progress(site.material)),
        across=list(_across(site.sheets)),
        cells=len(site.material.cells),
    )


def _overview(sheet: Sheet) -> Overview:
    entries = sheet.board.entries
    return Overview(
        sheet=sheet,
        ranked=sum(entry.is_ranked for entry in entries),
        shown=len(entries),
        failed=sum(len(entry.failed) for entry in entries),
        has_rare=bool(_groups(sheet)[0]),
        leaders=tuple(_leader(sheet.metrics[0], group) for group in _groups(sheet)),
    )


def _groups(sheet: Sheet) -> tuple[str, str]:
    """The rare group, "" if the split has none, and all."""
    rare = next((name for name in sheet.board.group_names if name in ("tail", "low")), "")
    return rare, ALL


def _leader(table: Table, group: str) -> Leader | None:
    for position, column in enumerate(table.columns):
        if column.key.endswith(f".{group}"):
            ranked = [line for line in table.lines if line.entry.is_ranked and line.numbers[position].mean]
            ranked.sort(key=lambda line: -(line.numbers[position].mean or 0.0))
            best = [line for line in ranked if line.numbers[position].mark == "best"] or ranked[:1]
            if best:
                names = tuple(line.entry.label for line in best)
                return Leader(names, best[0].numbers[position], column, is_tested=not column.note)
    return None


def _progress(material: Material) -> Iterator[SuiteProgress]:
    done = {below(cell.folder, material.root) for cell in material.cells if cell.status is Status.OK}
    for suite in material.suites:
        if suite.cells:
            count = sum(cell.folder in done for cell in suite.cells)
            yield SuiteProgress(suite, count, len(suite.cells))


def _across(sheets: Sequence[Sheet]) -> Iterator[Across]:
    """Comparisons of methods over boards, for groups of categories that at least two boards have."""
    for which, title in {ALL: "All categories", "rare": "Rare categories"}.items():
        shown = [sheet for sheet in sheets if which == ALL or _groups(sheet)[0]]
        if len(shown) < 2:
            continue
        entries: dict[tuple[str, str], Entry] = {}
        found: dict[tuple[str, str], list[tuple[Number, Column, str] | None]] = {}
        for place, sheet in enumerate(shown):
            group = ALL if which == ALL else _groups(sheet)[0]
            table = sheet.metrics[0]
            position = next(i for i, c in enumerate(table.columns) if c.key.endswith(f".{group}"))
            for line in table.lines:
                key = (line.entry.method, line.entry.config_digest)
                entries.setdefault(key, line.entry)
                row = found.setdefault(key, [None] * len(shown))
                row[place] = (line.numbers[position], table.columns[position], sheet.board.name)
        order = sorted(found, key=lambda key: (entries[key].is_baseline, entries[key].label.casefold()))
        rows = tuple((entries[key], tuple(found[key])) for key in order)
        yield Across(title, which, tuple(sheet.board for sheet in shown), rows)


PAGE = Page("index", "Boards", 0, build=build)
