"""What stands behind a shown number, for the panel beside the pointer: seeds, ranks, intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scipy import stats

from ltbench.reports.numbers import Number
from ltbench.reports.statistics.intervals import LEVEL
from ltbench.reports.tables import Line

Facts = dict[str, Any]


def table_details(
    columns: Iterable[str],
    lines: Iterable[Line],
    numbers: Iterable[Iterable[Number]],
    *,
    with_seeds: bool = True,
    unit: int = 1,
) -> Facts:
    """Facts of one table: its columns, and for each row a list per column and the row's seeds at the end.

    A number is [values by seed, rank interval, interval over images]: values and ends as distances from the
    mean in `unit` hundredths of a point, null = none; null instead of the list where nothing is to be told.
    "t" is Student's quantile by number of seeds: with it a script makes the interval over seeds.
    """
    rows: dict[str, list[Any]] = {}
    counts = set()
    for line, row in zip(lines, numbers, strict=True):
        facts = [_number(number, with_seeds, unit) for number in row]
        rows[line.entry.anchor] = [*facts, list(line.entry.finished) if with_seeds else []]
        counts.add(len(line.entry.finished))
    quantiles = {n: round(float(stats.t.ppf((1 + LEVEL) / 2, n - 1)), 4) for n in sorted(counts) if n > 1}
    return {"columns": list(columns), "rows": rows, "t": quantiles, "unit": unit}


def _number(number: Number, with_seeds: bool, unit: int) -> list[Any] | None:
    if number.mean is None:
        return None
    standing, middle = number.standing, hundredths(number.mean)

    def steps(values: Iterable[float | None]) -> list[int | None]:
        return [None if value is None else round((hundredths(value) - middle) / unit) for value in values]

    seeds = number.by_seed if with_seeds and len(number.by_seed) > 1 else ()
    facts: list[Any] = [
        steps(value for _, value in seeds),
        None if standing is None else [round(standing.rank_low), round(standing.rank_high)],
        None if number.images is None else steps(number.images),
    ]
    while facts and facts[-1] in (None, []):
        facts.pop()
    return facts or None


def hundredths(fraction: float) -> int:
    """Of a point: 0.91234 -> 9123."""
    return round(10_000 * fraction)
