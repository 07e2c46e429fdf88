"""Checks that a quantity printed in several tables has the same value in all of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ltbench.results.published.finding import (
    METRIC_TITLES,
    Check,
    Finding,
    RowKey,
    Verdict,
    classes,
    differs,
    listed,
    mean,
    names,
    rows,
)
from ltbench.results.published.papers import PAPERS
from ltbench.results.published.printed import PublishedCell, cells, table

_METRICS = list(METRIC_TITLES)

# Lower is more reliable: means next to their classes, then the main text, then an ablation's copy of it.
_AUTHORITY = {"per class": 0, "main": 1, "ablation": 2}


def check_twice() -> list[Check]:
    """Run one check per paper."""
    return [_check(paper) for paper in PAPERS]


def _check(paper: str) -> Check:
    """Check all quantities that a paper prints more than once."""
    pairs = list(_pairs(paper))
    wrong = [
        (doubted, trusted)
        for doubted, trusted in pairs
        if differs(doubted.value, trusted.value, _tolerance(doubted, trusted))
    ]
    # A number that differs from two tables is one finding, reported against the table with as many decimals
    # or else the more reliable one.
    best: dict[PublishedCell, PublishedCell] = {}
    for doubted, trusted in wrong:
        if doubted not in best or _rank(doubted, trusted) < _rank(doubted, best[doubted]):
            best[doubted] = trusted
    grouped = groupby(best.items(), key=lambda pair: _place(pair[0]))
    return Check(
        paper,
        "A number printed in two tables is the same in both",
        "equal where both have the same number of decimals, else within one unit of the coarser one",
        len(pairs),
        tuple(_finding(list(wrong_pairs)) for _, wrong_pairs in grouped),
    )


def _rank(doubted: PublishedCell, trusted: PublishedCell) -> tuple[float, int]:
    """Sort key of the table to compare with: as many decimals first, then the more reliable one."""
    return _tolerance(doubted, trusted), _authority(trusted)


def _authority(cell: PublishedCell) -> int:
    """Rank of a cell's table; lower ranks are more reliable."""
    return _AUTHORITY[table(cell.paper, cell.table).kind]


def _place(cell: PublishedCell) -> tuple[int, str, str]:
    """Row of a cell: table, split and method."""
    return cell.table, cell.split, cell.printed_method


def _tolerance(one: PublishedCell, other: PublishedCell) -> float:
    """Largest difference of two cells that counts as equal."""
    units = {table(cell.paper, cell.table).unit for cell in (one, other)}
    return 0.0 if len(units) == 1 else max(units)


def _pairs(paper: str) -> Iterator[tuple[PublishedCell, PublishedCell]]:
    """Yield pairs (doubted, trusted) of the same quantity in two tables, the more reliable one second."""
    same: dict[tuple[str, ...], list[PublishedCell]] = {}
    for cell in cells(paper):
        if table(paper, cell.table).kind in _AUTHORITY:
            key = (cell.dataset, cell.split, cell.method, cell.metric, cell.category)
            same.setdefault(key, []).append(cell)
    ordered = sorted(
        (sorted(group, key=lambda cell: (_authority(cell), cell.table)) for group in same.values()),
        key=lambda group: (_place(group[-1]), _METRICS.index(group[-1].metric), group[-1].category),
    )
    for group in ordered:
        for last in range(1, len(group)):
            for first in range(last):
                yield group[last], group[first]


def _finding(pairs: list[tuple[PublishedCell, PublishedCell]]) -> Finding:
    """Build the finding of a row that differs from other tables."""
    first, _ = pairs[0]
    verdict, argument = _judge(pairs)
    tables = sorted({cell.table for _, cell in pairs})
    return Finding(
        paper=first.paper,
        table=first.table,
        row=first.printed_method,
        what="printed twice",
        where=f"{first.split}: " + ", ".join(_column(cell) for cell, _ in pairs),
        printed=", ".join(cell.printed for cell, _ in pairs),
        recomputed=f"{_named(tables)}: " + ", ".join(cell.printed for _, cell in pairs),
        verdict=verdict,
        argument=argument,
        doubted=() if verdict == "rounding" else names(cell for cell, _ in pairs),
    )


def _named(tables: list[int]) -> str:
    """Format "Table 3" or "Tables 3 and 5"."""
    return ("Table " if len(tables) == 1 else "Tables ") + listed(map(str, tables))


def _column(cell: PublishedCell) -> str:
    """Title of a cell's column."""
    return METRIC_TITLES[cell.metric] + ("" if cell.category == "all" else f" {cell.category.title()}")


def _classes_of(cell: PublishedCell) -> list[PublishedCell]:
    """Cells of the classes next to a mean in its row; empty if there are none."""
    row = rows(cell.paper)[RowKey(cell.table, cell.split, cell.printed_method, cell.metric)]
    return classes(row) if cell.category == "all" else []


def _judge(pairs: list[tuple[PublishedCell, PublishedCell]]) -> tuple[Verdict, str]:
    """Verdict and argument for numbers that differ between tables."""
    doubted, trusted = pairs[0]
    if table(doubted.paper, doubted.table).kind == "ablation":
        return "contradiction", (
            f"The row is the method that Table {trusted.table} reports on the same split with other numbers: "
            "another run, which the paper does not say, or a misprint."
        )
    if not all(_classes_of(cell) for _, cell in pairs):
        return "contradiction", "Nothing else in the paper tells which one is right."
    means = [mean(_classes_of(cell)) for _, cell in pairs]
    shown = listed(f"{value:.3f}" for value in means)
    believed = all(
        not differs(cell.value, value, table(cell.paper, cell.table).unit)
        for (_, cell), value in zip(pairs, means, strict=True)
    )
    if not believed:
        return (
            "contradiction",
            f"The classes have the mean {shown}: neither printed number follows from them.",
        )
    unit = table(doubted.paper, doubted.table).unit
    if _tolerance(doubted, trusted) > 0:
        return "contradiction", f"The classes have the mean {shown}: the appendix agrees with itself."
    if differs(doubted.value, means[0], unit):
        return "misprint", f"The classes have the mean {shown}: the supplement agrees with itself."
    return "rounding", f"The classes have the mean {shown}: rounded in one table, cut off in the other."
