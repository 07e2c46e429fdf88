"""Findings of the lint of published tables, and the tables arranged by rows for checking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from ltbench.results.published.printed import CellName, PublishedCell, cells

Verdict = Literal["misprint", "contradiction", "doubtful", "rounding", "garbled"]
"""misprint: the correct number follows from the paper itself. contradiction: printed numbers exclude each
other, and it is open which one is wrong. doubtful: possible only with an explanation that the paper does not
give. rounding: one value, rounded in one place and truncated in the other; harmless. garbled: not a number in
the extracted text, whose means prove the intended number."""

EPSILON = 1e-9
METRIC_TITLES = {
    "image_auroc": "I-AUROC",
    "image_ap": "I-AP",
    "image_f1max": "I-F1max",
    "pixel_auroc": "P-AUROC",
    "pixel_ap": "P-AP",
    "pixel_f1max": "P-F1max",
    "aupro": "AUPRO",
    "label_auprc": "AUPRC",
    "inspection_depth": "inspection depth",
}


@dataclass(frozen=True)
class Finding:
    """Disagreement of printed numbers with the rest of their paper."""

    paper: str
    table: int
    row: str
    """Printed name of the method, or "header" or "caption"."""
    what: str
    """Name of the check."""
    where: str
    """Columns of the row."""
    printed: str
    """Printed numbers."""
    recomputed: str
    """Numbers that follow from the rest of the paper."""
    verdict: Verdict
    argument: str
    doubted: tuple[CellName, ...] = ()
    """Doubtful numbers; exactly these have the flag `suspicious` in the data."""


@dataclass(frozen=True)
class Check:
    """Rule with the number of its applications and its findings."""

    paper: str
    title: str
    rule: str
    compared: int
    findings: tuple[Finding, ...]


class RowKey(NamedTuple):
    """Key of a row: the numbers of one method, metric and split in one table."""

    table: int
    split: str
    printed_method: str
    metric: str


Row = Mapping[str, PublishedCell]
"""Cells of a row by category or group."""


@cache
def rows(paper: str) -> Mapping[RowKey, Row]:
    """Arrange a paper's tables by rows, in order of table, split, printed method and metric."""
    by_key: dict[RowKey, dict[str, PublishedCell]] = {}
    for cell in cells(paper):
        key = RowKey(cell.table, cell.split, cell.printed_method, cell.metric)
        by_key.setdefault(key, {})[cell.category] = cell
    return dict(sorted(by_key.items()))


def classes(row: Row) -> list[PublishedCell]:
    """Cells of a row that are single categories, not means or deviations."""
    return [cell for cell in row.values() if not cell.aggregate]


def names(cells: Iterable[PublishedCell]) -> tuple[CellName, ...]:
    """Names of cells."""
    return tuple(cell.name for cell in cells)


def mean(cells: Iterable[PublishedCell]) -> float:
    """Mean value of cells, in percent."""
    values = [cell.value for cell in cells]
    return sum(values) / len(values)


def differs(one: float, other: float, tolerance: float) -> bool:
    """Whether two numbers differ by more than the tolerance, apart from rounding of floats."""
    return abs(one - other) > tolerance + EPSILON


def ratio(split: str) -> int:
    """Noise ratio in percent from the name of a split.

    >>> ratio("meds_nr05")
    5
    """
    return int(split.rpartition("nr")[2])


def listed(words: Iterable[str]) -> str:
    """Join words to an English enumeration.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
