"""The papers' own tables with what was measured beside every number: rows are methods, columns as printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ltbench.reports.comparison import Pair, caution
from ltbench.reports.entries import Entry
from ltbench.reports.leaderboard import GROUP_TITLES, Sheet
from ltbench.reports.numbers import Number
from ltbench.reports.tables import Line
from ltbench.results.published.finding import METRIC_TITLES
from ltbench.results.published.lookup import printed_split
from ltbench.results.published.printed import PublishedCell, Table, cells, tables

GROUPS = ("tail", "head", "high", "low", "all", "std")
"""Means over categories in the order of the papers' columns."""
WIDE = 20
"""Columns beyond which a table is turned."""
Key = tuple[str, str, str, str, str]
"""(data set, split, method, metric, group or category)."""


@dataclass(frozen=True)
class Measured:
    """A number of this site: whose it is, and the board with its runs."""

    entry: Entry
    number: Number
    board: str


@dataclass(frozen=True)
class Column:
    """One printed column."""

    split: str
    metric: str
    category: str

    @property
    def title(self) -> str:
        return GROUP_TITLES.get(self.category, self.category)

    @property
    def metric_title(self) -> str:
        return METRIC_TITLES.get(self.metric, self.metric)


@dataclass(frozen=True)
class Cell:
    """A printed number and what was measured in its place, if anything was."""

    pair: Pair
    measured: Measured | None


@dataclass(frozen=True)
class Row:
    """A printed method."""

    method: str
    cells: Sequence[Cell | None]
    """Printed values; None if the paper leaves a cell empty."""


@dataclass(frozen=True)
class Part:
    """Columns below one span of a wide table, turned: a row per class, a column per method."""

    title: str
    """Title of the span: metric, and split if there are several."""
    methods: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    """(class, cells by method)."""


@dataclass(frozen=True)
class PaperTable:
    """A printed table in its own shape."""

    table: Table
    columns: Sequence[Column]
    rows: Sequence[Row]

    @property
    def name(self) -> str:
        return f"{self.table.paper}-{self.table.table}"

    @property
    def _has_means_alone(self) -> bool:
        """Whether each split and metric have one column, the mean over all classes."""
        return {column.category for column in self.columns} == {"all"} and len(self.table.splits) > 1

    @property
    def titles(self) -> list[str]:
        """Titles of the columns, as they appear below their spans."""
        if self._has_means_alone:
            return [column.metric_title for column in self.columns]
        return [column.title for column in self.columns]

    @property
    def spans(self) -> list[tuple[str, int]]:
        """(split and metric, number of columns below them), from left to right."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            title = column.metric_title
            if self._has_means_alone:
                title = column.split
            elif len(self.table.splits) > 1:
                title = f"{column.split}, {title}"
            if found and found[-1][0] == title:
                found[-1] = (title, found[-1][1] + 1)
            else:
                found.append((title, 1))
        return found

    @property
    def parts(self) -> list[Part]:
        """Parts of a wide table that fit a page, as the papers print single classes; [] for a narrow one."""
        if len(self.columns) <= WIDE:
            return []
        found, start = list[Part](), 0
        for title, width in self.spans:
            rows = [
                (self.titles[at], [row.cells[at] for row in self.rows]) for at in range(start, start + width)
            ]
            found.append(Part(title, [row.method for row in self.rows], rows))
            start += width
        return found

    @property
    def deltas(self) -> list[Pair]:
        """Pairs of a printed and a measured number, for all cells that have both."""
        pairs = [cell.pair for row in self.rows for cell in row.cells if cell is not None]
        return [pair for pair in pairs if pair.delta is not None]

    @property
    def is_plain(self) -> bool:
        """Whether the table has printed numbers only, none measured."""
        return not self.deltas


def measurements(sheets: Sequence[Sheet]) -> dict[Key, Measured]:
    """Values measured on this site under the papers' conditions, by the printed value they correspond to.

    Of several configurations that mean one printed row: ranked ones first, then the one closest to the
    paper's text, then the first by name. Never by score, which would show the luckiest one.
    """
    found: dict[Key, Measured] = {}
    for sheet in sheets:
        board = sheet.board
        if board.overlap_policy != "paper":
            continue
        split = printed_split(board.dataset, board.split)
        for table in (*sheet.metrics, *sheet.classes):
            for line in sorted(table.lines, key=_closeness):
                for column, number in zip(table.columns, line.numbers, strict=True):
                    metric, _, name = column.key.partition(".")
                    key = (board.dataset, split, line.entry.printed.method, metric, name)
                    if number.mean is not None:
                        found.setdefault(key, Measured(line.entry, number, board.name))
    return found


def _closeness(line: Line) -> tuple[bool, int, str, str]:
    entry = line.entry
    return not entry.is_ranked, entry.printed.order, entry.variant, entry.anchor


def paper_tables(
    paper: str, sheets: Sequence[Sheet], measured: Mapping[Key, Measured] | None = None
) -> Iterator[PaperTable]:
    """Tables of means and ablations, and those of single classes whose split has a board on this site.

    measured: `measurements` of the sheets, if available.
    """
    measured = measurements(sheets) if measured is None else measured
    known = {(sheet.board.dataset, sheet.board.split) for sheet in sheets}
    by_table: dict[int, list[PublishedCell]] = {}
    for cell in cells(paper):
        by_table.setdefault(cell.table, []).append(cell)
    for table in tables():
        if table.paper != paper:
            continue
        has_board = any((d, s) in known for d in table.datasets for s in table.splits)
        if table.kind in ("main", "ablation") or has_board:
            yield _in_shape(table, by_table[table.table], measured)


def _in_shape(table: Table, members: Sequence[PublishedCell], measured: Mapping[Key, Measured]) -> PaperTable:
    splits = list(dict.fromkeys(cell.split for cell in members))
    metrics = list(METRIC_TITLES)
    names = [*dict.fromkeys(cell.category for cell in members if cell.category not in GROUPS), *GROUPS]
    columns = sorted(
        {_column(cell) for cell in members},
        key=lambda one: (splits.index(one.split), metrics.index(one.metric), names.index(one.category)),
    )
    printed: dict[str, dict[Column, PublishedCell]] = {}
    for cell in members:
        printed.setdefault(cell.printed_method, {})[_column(cell)] = cell
    rows = [Row(name, [_cell(row.get(one), measured) for one in columns]) for name, row in printed.items()]
    return PaperTable(table, columns, rows)


def _column(cell: PublishedCell) -> Column:
    return Column(cell.split, cell.metric, cell.category)


def _cell(printed: PublishedCell | None, measured: Mapping[Key, Measured]) -> Cell | None:
    if printed is None:
        return None
    here = measured.get((printed.dataset, printed.split, printed.method, printed.metric, printed.category))
    title = METRIC_TITLES.get(printed.metric, printed.metric)
    number = here.number if here else None
    return Cell(Pair(title, printed.category, number, printed, caution(printed)), here)
