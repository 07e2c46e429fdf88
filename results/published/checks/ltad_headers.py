"""Checks of LTAD on DAGM: column headers that contradict the data, and a row that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from ltbench.results.published.checks.ltad import per_class_rows
from ltbench.results.published.finding import (
    METRIC_TITLES,
    Check,
    Finding,
    Row,
    RowKey,
    classes,
    listed,
    names,
)
from ltbench.results.published.printed import PublishedCell, cells

PAPER = "ltad"
_WITNESS = "RegAD"
"""Method with the same values per class in every DAGM table."""
_SAME = 0.02


def check_headers() -> list[Check]:
    """Run all checks of LTAD's DAGM tables."""
    return [_headers(), _constant()]


def _witness_rows() -> dict[RowKey, Row]:
    """Rows of the witness method in DAGM tables."""
    return {
        key: row
        for key, row in per_class_rows().items()
        if key.printed_method == _WITNESS and next(iter(row.values())).dataset == "dagm"
    }


def _as_printed(row: Row) -> dict[str, float]:
    """Values of a row by the class that the printed header names."""
    return {cell.printed_category or cell.category: cell.value for cell in classes(row)}


def _profile(metric: str) -> dict[str, float]:
    """Median value of the witness under each printed class name."""
    printed = [_as_printed(row) for key, row in _witness_rows().items() if key.metric == metric]
    return {name: median(values[name] for values in printed) for name in printed[0]}


def largest_gap(values: Mapping[str, float], profile: Mapping[str, float]) -> tuple[float, str]:
    """Largest difference of values by class from a profile, and its class."""
    return max((abs(values[name] - profile[name]), name) for name in profile)


def _headers() -> Check:
    """Check that the headers of the DAGM tables name the right classes."""
    findings = []
    for key, row in _witness_rows().items():
        profile = _profile(key.metric)
        gap, name = largest_gap(_as_printed(row), profile)
        if gap <= _SAME:
            continue
        righted, _ = largest_gap({cell.category: cell.value for cell in classes(row)}, profile)
        printed_order = "reversed" if "reverse" not in key.split else "normal"
        findings.append(
            Finding(
                paper=PAPER,
                table=key.table,
                row="header",
                what="header",
                where="all 10 classes",
                printed=f"classes in {printed_order} order",
                recomputed=f"classes in {'normal' if printed_order == 'reversed' else 'reversed'} order",
                verdict="misprint",
                argument=(
                    f"{_WITNESS} prints the same value for each class in all DAGM tables; under this header "
                    f"{name} would be {gap:.1f} points away, with the header turned round every class is "
                    f"within {righted:.2f}. The configuration's own order agrees."
                ),
            )
        )
    return Check(
        PAPER,
        "The headers of the DAGM tables name the columns' classes",
        f"{_WITNESS}'s value of a class is within {_SAME} of what most tables print under that name",
        len(_witness_rows()),
        tuple(findings),
    )


def _by_class(metric: str, method: str) -> dict[str, list[PublishedCell]]:
    """Cells of a method in all configurations, by DAGM class."""
    by_class: dict[str, list[PublishedCell]] = {}
    for key, row in per_class_rows().items():
        if (key.metric, key.printed_method) == (metric, method):
            for cell in classes(row):
                if cell.dataset == "dagm":
                    by_class.setdefault(cell.category, []).append(cell)
    return by_class


def _spread(of_classes: Mapping[str, list[PublishedCell]]) -> float:
    """Largest range of a class' values over the configurations."""
    return max(
        max(cell.value for cell in of_class) - min(cell.value for cell in of_class)
        for of_class in of_classes.values()
    )


def _constant() -> Check:
    """Check that every method's values change between the DAGM configurations."""
    findings = []
    compared = 0
    for metric in ("image_auroc", "pixel_auroc"):
        methods = sorted({key.printed_method for key in per_class_rows() if key.metric == metric})
        by_method = {name: of_classes for name in methods if (of_classes := _by_class(metric, name))}
        spreads = {method: _spread(of_classes) for method, of_classes in by_method.items()}
        compared += len(spreads)
        for method, spread in spreads.items():
            if spread <= _SAME:
                least = min(other for name, other in spreads.items() if name != method)
                findings.append(_never_changes(metric, method, spread, least))
    return Check(
        PAPER,
        "A method's values change with the training list",
        f"over the DAGM configurations some class moves by more than {_SAME}",
        compared,
        tuple(findings),
    )


def _never_changes(metric: str, method: str, spread: float, least: float) -> Finding:
    """Build the finding of a method whose values never change."""
    doubted = tuple(
        cell
        for cell in cells(PAPER)
        if (cell.dataset, cell.printed_method, cell.metric) == ("dagm", method, metric)
    )
    tables = sorted({cell.table for cell in doubted if not cell.aggregate})
    return Finding(
        paper=PAPER,
        table=tables[0],
        row=method,
        what="never changes",
        where=f"{METRIC_TITLES[metric]}, all classes, Tables {listed(map(str, tables))}",
        printed=f"{len(tables)} times the same row",
        recomputed="rows that differ",
        verdict="doubtful",
        argument=(
            f"The {len(tables)} training lists differ (Class6 has 2 images in one and 492 in another), yet "
            f"no class moves by more than {spread:.2f}; every other method moves by at least {least:.1f} "
            "somewhere. The text says that all baselines were retrained on each configuration."
        ),
        doubted=names(doubted),
    )
