"""What stands behind a shown number, for the panel beside the pointer: seeds, ranks, intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reports.numbers import Number
from reports.tables import Line

Facts = dict[str, Any]


def table_details(columns: Iterable[str], lines: Iterable[Line], numbers: Iterable[Iterable[Number]]) -> Facts:
    """Facts of one table: its columns, and for each row a list per column and the row's seeds at the end.

    A number is [values by seed, rank interval, interval over seeds, interval over images]; scores are whole
    hundredths of a point, null = none; null in place of the list where there is no number.
    """
    rows = {}
    for line, row in zip(lines, numbers, strict=True):
        facts = [_number(number) for number in row]
        rows[line.entry.anchor] = [*facts, list(line.entry.finished)]
    return {"columns": list(columns), "rows": rows}


def _number(number: Number) -> list[Any] | None:
    if number.mean is None or (len(number.by_seed) < 2 and number.images is None):
        return None
    standing = number.standing
    facts: list[Any] = [
        [None if value is None else hundredths(value) for _, value in number.by_seed],
        None if standing is None else [round(standing.rank_low), round(standing.rank_high)],
        None if number.interval is None else [hundredths(end) for end in number.interval],
        None if number.images is None else [hundredths(end) for end in number.images],
    ]
    while facts[-1] is None:
        facts.pop()
    return facts


def hundredths(fraction: float) -> int:
    """Of a point: 0.91234 -> 9123."""
    return round(10_000 * fraction)
