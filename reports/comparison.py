"""Measured numbers beside those of the papers, for the columns that a paper prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ltbench.reports.cube import ALL
from ltbench.reports.entries import Entry
from ltbench.reports.leaderboard import GROUP_TITLES, Sheet
from ltbench.reports.numbers import Number
from ltbench.results.published import PublishedCell, column, published

CLOSE = 0.5
"""Points within which rounding, hardware and library versions move a mean."""
NEAR = 2.0
"""Points within which another backbone checkpoint or an unspecified detail moves a mean."""


@dataclass(frozen=True)
class Pair:
    """One published number and what was measured in its place."""

    metric: str
    """Title."""
    group: str
    """Title."""
    measured: Number | None
    """Measured value; None if the method has not been run here."""
    printed: PublishedCell
    caution: str
    """Reason to doubt the printed number; "" if there is none."""

    @property
    def delta(self) -> float | None:
        """Measured minus published, in points."""
        if self.measured is None or self.measured.mean is None:
            return None
        return 100 * self.measured.mean - self.printed.value

    @property
    def verdict(self) -> str:
        """ "equal", "near" or "differs"; "" without a measured number.

        Equal: within CLOSE, or within two standard errors of the measured mean over seeds.
        """
        if self.delta is None or self.measured is None:
            return ""
        error = 0.0
        if self.measured.sd is not None:
            error = 200 * self.measured.sd / len(self.measured.by_seed) ** 0.5
        if abs(self.delta) <= max(CLOSE, error):
            return "equal"
        return "near" if abs(self.delta) <= NEAR else "differs"


@dataclass(frozen=True)
class Compared:
    """A method's published numbers; one per configuration that was measured."""

    title: str
    method: str
    entry: Entry | None
    pairs: tuple[Pair, ...]


def compare(sheet: Sheet) -> list[Compared]:
    """Methods of the board that a paper reports, then those that only papers report."""
    board = sheet.board
    lines = [_measured(sheet, entry) for entry in board.entries]
    found = [line for line in lines if line.pairs]
    known = {entry.printed.method for entry in board.entries}
    for method in sorted(_reported(sheet) - known):
        pairs = tuple(_pairs(sheet, method, {}))
        found.append(Compared(_printed_title(pairs, method), method, None, pairs))
    return found


def _printed_title(pairs: Iterable[Pair], method: str) -> str:
    """The method's name as a paper prints it; "Ours" and "+ MeDS" name nothing outside of their table."""
    printed = (pair.printed.printed_method for pair in pairs)
    return next((name for name in printed if not name.startswith(("Ours", "+"))), method)


def _reported(sheet: Sheet) -> set[str]:
    board = sheet.board
    return {
        method
        for metric in board.metrics
        for group in board.group_names
        for method in column(board.dataset, board.split, metric.name, group)
    }


def _measured(sheet: Sheet, entry: Entry) -> Compared:
    numbers: dict[str, Number] = {}
    for table in sheet.metrics:
        for line in table.lines:
            if line.entry is entry:
                numbers |= {c.key: n for c, n in zip(table.columns, line.numbers, strict=True)}
    return Compared(entry.label, entry.method, entry, tuple(_pairs(sheet, entry.printed.method, numbers)))


def _pairs(sheet: Sheet, method: str, numbers: dict[str, Number]) -> Iterator[Pair]:
    board = sheet.board
    for metric in board.metrics:
        for group in board.group_names:
            cell = published(board.dataset, board.split, method, metric.name, group)
            if cell is None:
                continue
            title = GROUP_TITLES.get(group, group)
            measured = numbers.get(f"{metric.name}.{group}")
            yield Pair(metric.title, title, measured, cell, caution(cell))


def caution(cell: PublishedCell) -> str:
    """Reason to doubt a printed number; "" if there is none."""
    told = []
    if cell.suspicious:
        told.append("the paper's own numbers contradict it")
    if cell.corrected:
        told.append(f"printed as “{cell.printed}”, corrected by the paper's own means")
    if cell.garbled:
        told.append(f"printed as “{cell.printed}”")
    if cell.relabelled:
        told.append("the table's header or caption names something else")
    return "; ".join(told)


def has_published(sheet: Sheet) -> bool:
    """True if a paper reports any column of the board."""
    board = sheet.board
    if not board.is_as_published:
        return False
    return any(column(board.dataset, board.split, metric.name, ALL) for metric in board.metrics) or bool(
        _reported(sheet)
    )
