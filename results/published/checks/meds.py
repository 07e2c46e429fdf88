"""Checks of MeDS: means and deviations of the appendix, captions, and rows copied between noise ratios."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from statistics import stdev

from ltbench.results.published.finding import (
    METRIC_TITLES,
    Check,
    Finding,
    Row,
    RowKey,
    classes,
    differs,
    listed,
    mean,
    names,
    ratio,
    rows,
)
from ltbench.results.published.printed import PublishedCell, Table, cells, table, tables

PAPER = "meds"
_LEAST_METRICS = 5


def check_meds() -> list[Check]:
    """Run the checks of MeDS that compare its tables with each other."""
    return [_means(), _deviations(), _captions(), _copied_rows()]


def per_class_rows() -> dict[RowKey, Row]:
    """Rows of the tables with classes, Tables 6-30."""
    return {key: row for key, row in rows(PAPER).items() if classes(row)}


_Mean = tuple[str, str, str, str]


def main_means() -> dict[_Mean, PublishedCell]:
    """Means printed in the main text, by data set, split, method and metric."""
    return {
        (cell.dataset, cell.split, cell.method, cell.metric): cell
        for cell in cells(PAPER)
        if table(PAPER, cell.table).kind == "main"
    }


def _means() -> Check:
    """Check that the last line of each table is the mean of the classes."""
    findings = []
    main = main_means()
    for key, row in per_class_rows().items():
        cell, recomputed = row["all"], mean(classes(row))
        if not differs(cell.value, recomputed, table(PAPER, key.table).unit):
            continue
        beside = main.get((cell.dataset, cell.split, cell.method, cell.metric))
        also = f" The main text (Table {beside.table}) prints {beside.printed}." if beside else ""
        findings.append(
            Finding(
                paper=PAPER,
                table=key.table,
                row=key.printed_method,
                what="mean",
                where=METRIC_TITLES[key.metric],
                printed=cell.printed,
                recomputed=f"{recomputed:.2f}",
                verdict="contradiction",
                argument=(
                    f"The {len(classes(row))} classes are printed to {table(PAPER, key.table).unit:g}: "
                    f"rounding cannot move their mean by {abs(cell.value - recomputed):.2f}.{also}"
                ),
                doubted=names([cell]),
            )
        )
    return Check(
        PAPER,
        "The last line is the mean of the classes",
        "within one unit of the last digit (0.1; Table 30: 0.01): what rounding or cutting off can explain",
        len(per_class_rows()),
        tuple(findings),
    )


def _deviations() -> Check:
    """Check that printed standard deviations are those of the classes."""
    findings = []
    compared = 0
    for key, row in per_class_rows().items():
        if "std" not in row:
            continue
        compared += 1
        recomputed = stdev(cell.value for cell in classes(row))
        # Rounding changes a deviation by no more than the values themselves, a little more for n - 1.
        if differs(row["std"].value, recomputed, 1.1 * table(PAPER, key.table).unit):
            findings.append(
                Finding(
                    paper=PAPER,
                    table=key.table,
                    row=key.printed_method,
                    what="deviation",
                    where=f"{METRIC_TITLES[key.metric]} {ratio(key.split)} %",
                    printed=row["std"].printed,
                    recomputed=f"{recomputed:.2f}",
                    verdict="misprint",
                    argument=(
                        "The mean of the same classes recomputes, and the eleven other deviations are those "
                        "of a sample (n - 1)."
                    ),
                    doubted=names([row["std"]]),
                )
            )
    return Check(
        PAPER,
        "Standard deviations are those of the classes",
        "sample deviation (n - 1) within 0.011",
        compared,
        tuple(findings),
    )


def _fits(description: Table, split: str, main: Mapping[_Mean, PublishedCell]) -> tuple[int, int]:
    """Compare the means of a table of classes with a column of the main text: (agreeing, compared)."""
    agree = compared = 0
    for key, row in per_class_rows().items():
        cell = row["all"]
        beside = main.get((cell.dataset, split, cell.method, cell.metric))
        if key.table == description.table and beside:
            compared += 1
            agree += not differs(cell.value, beside.value, description.unit)
    return agree, compared


def _captions() -> Check:
    """Check that captions name the noise ratio of their numbers."""
    findings = []
    main = main_means()
    with_classes = [each for each in tables() if (each.paper, each.kind) == (PAPER, "per class")]
    for each in with_classes:
        (split,) = each.splits
        printed = each.printed_split or split
        agree, compared = _fits(each, printed, main)
        if 2 * agree >= compared:
            continue
        ours, _ = _fits(each, split, main)
        findings.append(
            Finding(
                paper=PAPER,
                table=each.table,
                row="caption",
                what="caption",
                where="noise ratio",
                printed=str(ratio(printed)),
                recomputed=str(ratio(split)),
                verdict="misprint",
                argument=(
                    f"Of {compared} means {agree} agree with the main text's column {ratio(printed)}, but "
                    f"{ours} with column {ratio(split)}; Tables 10 and 11 already are ratio {ratio(printed)}."
                ),
            )
        )
    return Check(
        PAPER,
        "The captions name the noise ratio of their numbers",
        "at least half of a table's means agree with the main text's column of that ratio within 0.1",
        len(with_classes),
        tuple(findings),
    )


def _class_results() -> dict[tuple[str, str, str], dict[str, dict[str, PublishedCell]]]:
    """Cells by (data set, method, class), then split, then metric, over both tables of a ratio."""
    results: dict[tuple[str, str, str], dict[str, dict[str, PublishedCell]]] = {}
    for key, row in per_class_rows().items():
        if table(PAPER, key.table).kind == "per class":
            for cell in classes(row):
                of_class = results.setdefault((cell.dataset, cell.method, cell.category), {})
                of_class.setdefault(key.split, {})[key.metric] = cell
    return results


def _copied_rows() -> Check:
    """Check that no class has all the same numbers at two noise ratios."""
    findings = []
    compared = 0
    for by_split in _class_results().values():
        for one, other in combinations(sorted(by_split), 2):
            first, second = by_split[one], by_split[other]
            if len(first) < _LEAST_METRICS:
                continue
            compared += 1
            same = {metric: cell.value for metric, cell in first.items()} == {
                metric: cell.value for metric, cell in second.items()
            }
            if same and any(cell.value < 100 for cell in first.values()):
                findings += _copied(one, other, first, second)
    return Check(
        PAPER,
        "No class repeats all its numbers at another noise ratio",
        "the seven metrics of a class, not all 100, differ between any two ratios in at least one",
        compared,
        tuple(findings),
    )


def _copied(
    one: str, other: str, first: dict[str, PublishedCell], second: dict[str, PublishedCell]
) -> list[Finding]:
    """Build one finding for each of the two tables of the later ratio."""
    findings = []
    for number in sorted({cell.table for cell in second.values()}):
        here = [second[metric] for metric in METRIC_TITLES if metric in second]
        here = [cell for cell in here if cell.table == number]
        before = sorted({first[cell.metric].table for cell in here})
        findings.append(
            Finding(
                paper=PAPER,
                table=number,
                row=here[0].printed_method,
                what="copied row",
                where=here[0].category,
                printed="/".join(cell.printed for cell in here),
                recomputed=f"equal to Table {listed(map(str, before))}",
                verdict="doubtful",
                argument=(
                    f"All {len(second)} metrics of the class are the same at ratio {ratio(one)} and "
                    f"{ratio(other)}, though the two models were trained on different lists."
                ),
                doubted=names(here),
            )
        )
    return findings
