"""A table as data: what HTML, CSV and LaTeX are all made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ltbench.reports.entries import Entry
from ltbench.reports.numbers import Number
from ltbench.reports.statistics.standings import Test

SUBSCRIPTED = {"C_t", "C_h"}
"""Titles whose last letter is shown below the line."""


@dataclass(frozen=True)
class Column:
    """One column of numbers."""

    key: str
    """Unique in its table: "image_auroc.tail"."""
    title: str
    """Plain text; the t of "C_t" is shown as a subscript."""
    span: str = ""
    """Title of the header above it: "Image AUROC"."""
    unit: str = ""
    """"" = a score, kept as a fraction and printed times 100; else "s", "ms", "MB"."""
    hint: str = ""
    is_marked: bool = True
    """Whether the best number is marked and shades show the level."""
    higher_is_better: bool = True
    test: Test | None = None
    """Significance tests behind the comparison of methods; None if methods are not compared."""
    tint: str = ""
    """ "tail" or "head": the colour of the group in charts and headers."""

    @property
    def note(self) -> str:
        """Reason why no best method is marked; "" if one is, or if the column never marks any."""
        return self.test.note if self.test else ""


@dataclass(frozen=True)
class Line:
    """One row: a method and its numbers."""

    entry: Entry
    numbers: tuple[Number, ...]
    rank: str = ""
    """ "" where the row is not ranked."""


@dataclass(frozen=True)
class Table:
    """Numbers of one board."""

    name: str
    """Name in file names: "mvtec--pareto--image_auroc"."""
    title: str
    caption: str
    columns: Sequence[Column]
    lines: Sequence[Line]
