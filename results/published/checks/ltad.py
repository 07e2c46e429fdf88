"""Checks of LTAD: All, High and Low against their classes, and implausibly repeated values."""

from __future__ import annotations

from itertools import combinations

from ltbench.results.published.facts import TEST_IMAGES, ltad_group
from ltbench.results.published.finding import (
    METRIC_TITLES,
    Check,
    Finding,
    Row,
    RowKey,
    Verdict,
    classes,
    differs,
    mean,
    names,
    rows,
)
from ltbench.results.published.printed import PublishedCell, table

PAPER = "ltad"
GROUPS = ("all", "high", "low")
_FIRST_PER_CLASS = 10
_REPEAT_BELOW = 99.0
_FAR = 5.0


def check_ltad() -> list[Check]:
    """Run all checks of LTAD."""
    return [_means(), _ablation_means(), _repeats(), _attainable()]


def per_class_rows() -> dict[RowKey, Row]:
    """Rows of the tables with classes, Tables 10-49."""
    return {key: row for key, row in rows(PAPER).items() if key.table >= _FIRST_PER_CLASS}


def members(row: Row, group: str) -> list[PublishedCell]:
    """Cells of the classes of a group in a row."""
    any_cell = next(iter(row.values()))
    return [row[name] for name in ltad_group(any_cell.dataset, any_cell.split, group)]


def missing(row: Row, group: str) -> float:
    """Sum by which the printed mean exceeds the printed classes: (printed - recomputed) * classes."""
    inside = members(row, group)
    return (row[group].value - mean(inside)) * len(inside)


def wrong_groups(key: RowKey, row: Row) -> list[str]:
    """Groups whose printed mean differs from the mean of their classes by more than one last digit."""
    unit = table(PAPER, key.table).unit
    return [group for group in GROUPS if differs(row[group].value, mean(members(row, group)), unit)]


def _means() -> Check:
    """Check that All, High and Low are the means of their classes."""
    findings = []
    for key, row in per_class_rows().items():
        wrong = wrong_groups(key, row)
        if wrong:
            findings.append(_wrong_means(key, row, wrong))
    return Check(
        PAPER,
        "All, High and Low are the means of their classes",
        "within one unit of the last digit, 0.01: what rounding or cutting off can explain; "
        "High = the first floor(n/2) classes by size",
        len(GROUPS) * len(per_class_rows()),
        tuple(findings),
    )


def _wrong_means(key: RowKey, row: Row, wrong: list[str]) -> Finding:
    """Build the finding of a row with wrong means."""
    verdict, argument = _explain(row, wrong)
    return Finding(
        paper=PAPER,
        table=key.table,
        row=key.printed_method,
        what="mean",
        where=", ".join(group.title() for group in wrong),
        printed=", ".join(row[group].printed for group in wrong),
        recomputed=", ".join(f"{mean(members(row, group)):.2f}" for group in wrong),
        verdict=verdict,
        argument=argument,
        doubted=names([*(row[group] for group in wrong), *(_copies(key, row) if "all" in wrong else ())]),
    )


def _copies(key: RowKey, row: Row) -> tuple[PublishedCell, ...]:
    """Cells of the main text that repeat the wrong All of a row."""
    return tuple(
        cell
        for other, cells in rows(PAPER).items()
        if other.table < _FIRST_PER_CLASS and (other.split, other.metric) == (key.split, key.metric)
        for cell in [cells["all"]]
        if (cell.dataset, cell.method, cell.value)
        == (row["all"].dataset, row["all"].method, row["all"].value)
    )


def _explain(row: Row, wrong: list[str]) -> tuple[Verdict, str]:
    """Verdict and argument for the wrong means of a row."""
    if len(wrong) == 1:
        rest = [group.title() for group in GROUPS if group not in wrong]
        return "misprint", (
            f"{rest[0]} and {rest[1]} recompute from the same classes, so the printed {wrong[0].title()} "
            "alone is wrong."
        )
    group = next(group for group in wrong if group != "all")
    in_all, in_group = missing(row, "all"), missing(row, group)
    # A mean is exact to one unit of its last digit, so its sum to as many units as it has classes.
    known_to = 0.01 * (len(members(row, "all")) + len(members(row, group)))
    if differs(in_all, in_group, known_to):
        return "contradiction", (
            f"The other group recomputes; {group.title()} and All miss the sum of the classes by different "
            f"amounts ({in_group:+.2f} and {in_all:+.2f}), so one cell cannot explain both."
        )
    if any(cell.value == 100 for cell in members(row, group)) and not differs(in_all, -99, known_to):
        return "contradiction", (
            f"Both miss the sum of the {group.title()} classes by {in_all:+.1f}, and one of them is 100: "
            "it was averaged as the fraction 1 instead of 100."
        )
    return "contradiction", (
        f"Both miss the sum of the {group.title()} classes by about the same amount ({in_group:+.2f} and "
        f"{in_all:+.2f}): the means were taken with another value in one {group.title()} class than the "
        "table prints."
    )


def _ablation_means() -> Check:
    """Check All = (7 High + 8 Low) / 15 in tables without classes."""
    findings = []
    compared = 0
    for key, row in rows(PAPER).items():
        if key.table >= _FIRST_PER_CLASS or "high" not in row:
            continue
        compared += 1
        sizes = [len(ltad_group(row["all"].dataset, key.split, group)) for group in ("high", "low")]
        weighted = (sizes[0] * row["high"].value + sizes[1] * row["low"].value) / sum(sizes)
        if differs(row["all"].value, weighted, table(PAPER, key.table).unit):
            findings.append(
                Finding(
                    paper=PAPER,
                    table=key.table,
                    row=key.printed_method,
                    what="weighted mean",
                    where=METRIC_TITLES[key.metric],
                    printed=row["all"].printed,
                    recomputed=f"{weighted:.2f}",
                    verdict="contradiction",
                    argument=f"All is not ({sizes[0]} High + {sizes[1]} Low) / {sum(sizes)}.",
                    doubted=names(row.values()),
                )
            )
    return Check(
        PAPER,
        "In the ablations, All is the weighted mean of High and Low",
        "(7 High + 8 Low) / 15 on MVTec AD, within 0.01",
        compared,
        tuple(findings),
    )


def _repeats() -> Check:
    """Check that no class implausibly repeats the value of another class of its row."""
    findings = []
    compared = 0
    for key, row in per_class_rows().items():
        for one, other in combinations(classes(row), 2):
            compared += 1
            if one.value == other.value < _REPEAT_BELOW:
                reasons = _why_suspicious(key, row, one, other)
                if reasons:
                    findings.append(_repeat(key, one, other, reasons))
    return Check(
        PAPER,
        "No class repeats another class of its row",
        "two classes of a row share a value below 99, and the row's means deny it, or the other metric's "
        "table repeats the same pair, or one of the two is more than 5 points away from all its values in "
        "other configurations",
        compared,
        tuple(findings),
    )


def _repeat(key: RowKey, one: PublishedCell, other: PublishedCell, reasons: list[str]) -> Finding:
    """Build the finding of two classes with a repeated value."""
    return Finding(
        paper=PAPER,
        table=key.table,
        row=key.printed_method,
        what="repeat",
        where=f"{one.category} = {other.category}",
        printed=one.printed,
        recomputed="two different values",
        verdict="doubtful",
        argument=" ".join(reasons),
        doubted=names([one, other]),
    )


def _why_suspicious(key: RowKey, row: Row, one: PublishedCell, other: PublishedCell) -> list[str]:
    """Reasons to doubt that two classes of a row have the same value; empty if there are none."""
    reasons = []
    for group in wrong_groups(key, row):
        if group != "all" and {one, other} <= set(members(row, group)):
            should = one.value + missing(row, group)
            reasons.append(
                f"The printed {group.title()} needs a sum that differs by {missing(row, group):+.2f}: with "
                f"{should:.2f} in one of the two classes, {group.title()} and All recompute."
            )
    for number, twin in _other_metric(key, one):
        if twin[one.category].value == twin[other.category].value:
            reasons.append(
                f"Table {number} repeats the same pair for the other metric ({twin[one.category].printed}); "
                "the means were taken with the repeated value."
            )
    for cell in (one, other):
        nearest = _nearest_elsewhere(key, cell)
        if nearest is not None and abs(nearest - cell.value) > _FAR:
            reasons.append(
                f"In the method's other configurations {cell.category} is never closer than "
                f"{abs(nearest - cell.value):.1f} points ({nearest:.2f}): it seems to be a copy. "
                "The means were taken with the repeated value."
            )
    return reasons


def _other_metric(key: RowKey, cell: PublishedCell) -> list[tuple[int, Row]]:
    """Find the tables and rows of the same method, split and data set for the other metrics."""
    return [
        (twin_key.table, twin)
        for twin_key, twin in per_class_rows().items()
        if (twin_key.split, twin_key.printed_method) == (key.split, key.printed_method)
        and twin_key.metric != key.metric
        and twin["all"].dataset == cell.dataset
    ]


def _nearest_elsewhere(key: RowKey, cell: PublishedCell) -> float | None:
    """Nearest value of the same class, method and metric in the other tables; None without any."""
    values = [
        row[cell.category].value
        for other, row in per_class_rows().items()
        if other.table != key.table
        and (other.printed_method, other.metric) == (key.printed_method, key.metric)
        and cell.category in row
    ]
    return min(values, key=lambda value: abs(value - cell.value), default=None)


def _attainable() -> Check:
    """Check that every AUROC over P defective and N good images is a multiple of 1 / (2 P N)."""
    findings = []
    compared = 0
    for key, row in per_class_rows().items():
        for cell in classes(row):
            counts = TEST_IMAGES.get(cell.dataset, {}).get(cell.category)
            if cell.metric != "image_auroc" or cell.dataset != "mvtec" or counts is None:
                continue
            compared += 1
            step = 100 / (2 * counts[0] * counts[1])
            nearest = round(cell.value / step) * step
            decimals = len(cell.printed.partition(".")[2])
            if differs(cell.value, nearest, 10.0**-decimals):
                findings.append(
                    Finding(
                        paper=PAPER,
                        table=key.table,
                        row=key.printed_method,
                        what="attainable",
                        where=cell.category,
                        printed=cell.printed,
                        recomputed=f"{nearest:.2f}",
                        verdict="contradiction",
                        argument=f"With these test images an AUROC is a multiple of {step:.4f}.",
                        doubted=names([cell]),
                    )
                )
    return Check(
        PAPER,
        "Every image AUROC on MVTec AD can come from the official test images",
        "a multiple of 1/(2 P N) for P defective and N good test images, within one unit of the last digit",
        compared,
        tuple(findings),
    )
