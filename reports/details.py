"""Evidence of a table's numbers for the panel beside the pointer: seeds, interval over images, ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from scipy import stats

from ltbench.reports.numbers import Number
from ltbench.reports.statistics.intervals import LEVEL
from ltbench.reports.tables import Line

Facts = dict[str, Any]


def table_details(
    columns: Iterable[str], lines: Sequence[Line], numbers: Iterable[Iterable[Number]]
) -> Facts:
    """Facts of one table: the anchor and seeds of each row, and for each column a list over the rows.

    A number is [values by seed, both ends over images, both ends of its rank]: values and ends in hundredths
    of a point, null = none. "t" is Student's quantile by number of seeds: with it a script makes the interval
    over seeds.
    """
    counts = sorted({len(line.entry.finished) for line in lines})
    by_column = zip(*(map(evidence, row) for row in numbers), strict=True)
    return {
        "rows": [line.entry.anchor for line in lines],
        "seeds": [line.entry.finished for line in lines],
        "columns": dict(zip(columns, by_column, strict=True)),
        "t": {n: round(float(stats.t.ppf((1 + LEVEL) / 2, n - 1)), 4) for n in counts if n > 1},
    }


def evidence(number: Number) -> list[Any] | None:
    """Values by seed, interval and ranks behind a number; None if there is only its mean."""
    seeds = number.by_seed if number.mean is not None and len(number.by_seed) > 1 else ()
    standing = number.standing
    facts: list[Any] = [
        [_hundredths(value) for _, value in seeds],
        [_hundredths(end) for end in number.images or ()],
        [round(standing.rank_low), round(standing.rank_high)] if standing else [],
    ]
    while facts and not facts[-1]:
        facts.pop()
    return facts or None


def _hundredths(fraction: float | None) -> int | None:
    """Hundredths of a point: 0.91234 -> 9123."""
    return None if fraction is None else round(10_000 * fraction)
