"""What a check of the published tables says, and the tables arranged for checking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from ltbench.results.published.printed import CellName, PublishedCell, cells

Verdict = Literal["misprint", "contradiction", "doubtful", "rounding", "garbled"]
"""misprint: the paper itself tells what is right. contradiction: printed numbers exclude each other, and
which one is wrong stays open. doubtful: possible, but only with an explanation that the paper does not give.
rounding: one value, rounded in one place and cut off in the other; harmless. garbled: no clean number in the
text that we read, perhaps only there; the means prove what is meant."""

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
    """One place of a paper that does not agree with the rest of it."""

    paper: str
    table: int
    row: str
    """The printed method, or "header", "caption"."""
    what: str
    """Name of the check."""
    where: str
    """Columns of the row."""
    printed: str
    recomputed: str
    """What the rest of the paper says instead."""
    verdict: Verdict
    argument: str
    doubted: tuple[CellName, ...] = ()
    """The numbers that are in doubt: exactly these carry the flag `suspicious`."""


@dataclass(frozen=True)
class Check:
    """One rule, how often it was applied, and where it failed."""

    paper: str
    title: str
    rule: str
    compared: int
    findings: tuple[Finding, ...]


class RowKey(NamedTuple):
    """One method's numbers of one metric on one split, in one table."""

    table: int
    split: str
    printed_method: str
    metric: str


Row = Mapping[str, PublishedCell]
"""Category or group -> cell."""


@cache
def rows(paper: str) -> Mapping[RowKey, Row]:
    """The paper's tables row by row, in order of table, split, printed method and metric."""
    found: dict[RowKey, dict[str, PublishedCell]] = {}
    for cell in cells(paper):
        key = RowKey(cell.table, cell.split, cell.printed_method, cell.metric)
        found.setdefault(key, {})[cell.category] = cell
    return dict(sorted(found.items()))


def classes(row: Row) -> list[PublishedCell]:
    """The row's cells of single categories."""
    return [cell for cell in row.values() if not cell.aggregate]


def names(of: Iterable[PublishedCell]) -> tuple[CellName, ...]:
    return tuple(cell.name for cell in of)


def mean(of: Iterable[PublishedCell]) -> float:
    values = [cell.value for cell in of]
    return sum(values) / len(values)


def differs(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) > tolerance + EPSILON


def ratio(split: str) -> int:
    """Percent of contamination in a split's name: "meds_nr05" -> 5."""
    return int(split.rpartition("nr")[2])


def listed(words: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
