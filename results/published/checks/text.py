"""Checks for cells that are not a number or not a percentage."""

from __future__ import annotations

import re

from ltbench.results.published.facts import ltad_group
from ltbench.results.published.finding import Check, Finding, RowKey, differs, listed, mean, rows
from ltbench.results.published.papers import PAPERS
from ltbench.results.published.printed import PublishedCell, cells, table

_NUMBER = re.compile(r"\d+(\.\d*)?")


def check_text() -> list[Check]:
    """Run both checks for every paper."""
    return [check for paper in PAPERS for check in (_numbers(paper), _percentages(paper))]


def _numbers(paper: str) -> Check:
    """Check that every cell is a number."""
    findings = [
        Finding(
            paper=paper,
            table=cell.table,
            row=cell.printed_method,
            what="not a number",
            where=cell.category,
            printed=cell.printed,
            recomputed=f"{cell.value:.{table(paper, cell.table).decimals}f}",
            verdict="garbled",
            argument=f"{_fault(cell)}; {_proof(cell)}.",
        )
        for cell in cells(paper)
        if not _NUMBER.fullmatch(cell.printed)
    ]
    return Check(
        paper,
        "Every cell is a number",
        "digits with at most one decimal point and no space",
        len(cells(paper)),
        tuple(findings),
    )


def _fault(cell: PublishedCell) -> str:
    """Describe a garbled number."""
    return "A stray space stands inside the number" if " " in cell.printed else "Two decimal points"


def _proof(cell: PublishedCell) -> str:
    """Argument from the printed means for the corrected value."""
    row = rows(cell.paper)[RowKey(cell.table, cell.split, cell.printed_method, cell.metric)]
    if cell.category == "all":
        members = [other for other in row.values() if not other.aggregate]
        return f"the mean of the row's {len(members)} classes is {mean(members):.2f}"
    group = next(
        group for group in ("high", "low") if cell.category in ltad_group(cell.dataset, cell.split, group)
    )
    members = [row[name] for name in ltad_group(cell.dataset, cell.split, group)]
    return f"without it {group.title()} recomputes ({mean(members):.3f}, printed {row[group].printed})"


def _percentages(paper: str) -> Check:
    """Check that no percentage exceeds 100."""
    over: dict[RowKey, list[PublishedCell]] = {}
    for cell in cells(paper):
        digits = cell.printed.replace(" ", "")
        if _NUMBER.fullmatch(digits) and float(digits) > 100:
            key = RowKey(cell.table, cell.split, cell.printed_method, cell.metric)
            over.setdefault(key, []).append(cell)
    findings = [_over_hundred(key, too_large) for key, too_large in over.items()]
    return Check(
        paper,
        "No percentage exceeds 100",
        "the printed number is at most 100",
        len(cells(paper)),
        tuple(findings),
    )


def _over_hundred(key: RowKey, too_large: list[PublishedCell]) -> Finding:
    """Build the finding of a row with numbers above 100."""
    first = too_large[0]
    row = rows(first.paper)[key]
    unit = table(first.paper, first.table).unit
    fitting = [
        f"{group.title()} ({mean(members):.3f}, printed {row[group].printed})"
        for group in ("all", "high", "low")
        for members in [[row[name] for name in ltad_group(first.dataset, first.split, group)]]
        if not differs(mean(members), row[group].value, unit)
    ]
    return Finding(
        paper=first.paper,
        table=first.table,
        row=first.printed_method,
        what="over 100",
        where=first.category if len(too_large) == 1 else f"all {len(too_large)} classes",
        printed=", ".join(cell.printed for cell in too_large),
        recomputed=", ".join(f"{cell.value:.2f}" for cell in too_large),
        verdict="garbled",
        argument=(
            "The decimal point is missing: two digits after it, as everywhere in the table, "
            f"give {listed(fitting)}."
        ),
    )
