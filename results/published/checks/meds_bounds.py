"""Checks of MeDS: values that are impossible on the test set, and metrics that contradict each other."""

from __future__ import annotations

from ltbench.results.published.checks.meds import PAPER, per_class_rows
from ltbench.results.published.facts import MEDS_RATIOS, MEDS_TRAINING, TEST_IMAGES
from ltbench.results.published.finding import (
    Check,
    Finding,
    RowKey,
    classes,
    differs,
    listed,
    names,
    ratio,
    rows,
)
from ltbench.results.published.printed import PublishedCell, table

_DROP = 5.0


def check_meds_bounds() -> list[Check]:
    """Run the checks of MeDS against the bounds of its test sets."""
    return [_floors(), _against_each_other(), _depths()]


def f1_floor(good: int, defective: int) -> float:
    """F1 in percent of calling every image defective, the lower bound of F1-max.

    >>> f1_floor(good=20, defective=60)
    85.71428571428571
    """
    return 200 * defective / (2 * defective + good)


def _floors() -> Check:
    """Check that F1-max is not below the F1 of calling every image defective."""
    findings = []
    compared = 0
    for key, row in per_class_rows().items():
        if key.metric != "image_f1max":
            continue
        below = []
        for cell in classes(row):
            counts = TEST_IMAGES.get(cell.dataset, {}).get(cell.category)
            if counts is None:
                continue
            compared += 1
            if cell.value < f1_floor(*counts) and differs(
                cell.value, f1_floor(*counts), table(PAPER, key.table).unit
            ):
                below.append(cell)
        if below:
            findings.append(_below_floor(key, below))
    return Check(
        PAPER,
        "F1-max is not below the F1 of calling everything defective",
        "2P / (2P + N) with the class' P defective and N good test images, within one unit (MVTec AD, VisA)",
        compared,
        tuple(findings),
    )


def _below_floor(key: RowKey, below: list[PublishedCell]) -> Finding:
    """Build the finding of values below that bound."""
    floors = [f1_floor(*TEST_IMAGES[cell.dataset][cell.category]) for cell in below]
    return Finding(
        paper=PAPER,
        table=key.table,
        row=key.printed_method,
        what="F1-max floor",
        where="I-F1max " + listed(cell.category for cell in below),
        printed=", ".join(cell.printed for cell in below),
        recomputed=", ".join(f"at least {floor:.1f}" for floor in floors),
        verdict="contradiction",
        argument=(
            "The lowest threshold calls every image defective and already has this F1, so no maximum over "
            "thresholds is lower; it was probably searched without that threshold."
        ),
        doubted=names(below),
    )


def _against_each_other() -> Check:
    """Check that image AP does not rise from the clean split to the smallest noise ratio as AUROC falls."""
    pairs: dict[tuple[int, str], list[tuple[PublishedCell, PublishedCell]]] = {}
    compared = 0
    for key, row in per_class_rows().items():
        if key.metric != "image_ap" or ratio(key.split) != 0:
            continue
        noisy = _next_ratio(key)
        clean_auroc, noisy_auroc = _auroc(key), _auroc(noisy)
        for cell in classes(row):
            compared += 1
            other = rows(PAPER)[noisy][cell.category]
            higher = clean_auroc[cell.category].value > noisy_auroc[cell.category].value
            if higher and other.value - cell.value > _DROP:
                pairs.setdefault((key.table, key.printed_method), []).append((cell, other))
    findings = tuple(
        Finding(
            paper=PAPER,
            table=number,
            row=method,
            what="AP against AUROC",
            where="I-AP " + listed(cell.category for cell, _ in rises),
            printed=", ".join(cell.printed for cell, _ in rises),
            recomputed=f"Table {rises[0][1].table} with noise: "
            + ", ".join(cell.printed for _, cell in rises),
            verdict="doubtful",
            argument=(
                f"In {len(rises)} classes the model of the clean list has the higher image AUROC, but an AP "
                f"that is {_least(rises):.0f} to {_most(rises):.0f} points lower than with contamination; no "
                "other method or class does this. It also pulls the mean I-AP of the clean list below that "
                "of the smallest noise ratio."
            ),
            doubted=names(cell for cell, _ in rises),
        )
        for (number, method), rises in pairs.items()
    )
    return Check(
        PAPER,
        "Image AP does not fall where image AUROC rises",
        f"clean against the smallest noise ratio: AP more than {_DROP:g} points lower while AUROC is higher",
        compared,
        findings,
    )


def _depths() -> Check:
    """Check inspection depths k / |D|, where the last defect is the k-th image of the ranking."""
    findings = []
    compared = 0
    for key, row in per_class_rows().items():
        if key.metric != "inspection_depth":
            continue
        ranking = rows(PAPER)[key._replace(metric="label_auprc")]
        for cell in classes(row):
            compared += 1
            good, injected = MEDS_TRAINING[cell.category]
            defects = injected[MEDS_RATIOS.index(ratio(key.split))]
            inspected = round(cell.value / 100 * (good + defects))
            nearest = 100 * inspected / (good + defects)
            is_whole = not differs(cell.value, nearest, table(PAPER, key.table).unit)
            is_perfect = ranking[cell.category].value == 100
            if not is_whole or inspected < defects or (is_perfect and inspected > defects):
                findings.append(_wrong_depth(key, cell, defects, good + defects))
    return Check(
        PAPER,
        "Inspection depths count images of the released lists",
        "k / |D| with a whole k not below the number of defects, and equal to it where the AUPRC is 100; "
        "|D| is a class of the released seed-0 list",
        compared,
        tuple(findings),
    )


def _wrong_depth(key: RowKey, cell: PublishedCell, defects: int, size: int) -> Finding:
    """Build the finding of an impossible inspection depth."""
    return Finding(
        paper=PAPER,
        table=key.table,
        row=key.printed_method,
        what="inspection depth",
        where=f"{cell.category} {ratio(key.split)} %",
        printed=cell.printed,
        recomputed=f"k / {size} with k at least {defects}",
        verdict="contradiction",
        argument=f"The class has {size} training images, {defects} of them defective.",
        doubted=names([cell]),
    )


def _least(rises: list[tuple[PublishedCell, PublishedCell]]) -> float:
    """Smallest rise from the clean to the noisy cell of the pairs."""
    return min(noisy.value - clean.value for clean, noisy in rises)


def _most(rises: list[tuple[PublishedCell, PublishedCell]]) -> float:
    """Largest rise from the clean to the noisy cell of the pairs."""
    return max(noisy.value - clean.value for clean, noisy in rises)


def _next_ratio(key: RowKey) -> RowKey:
    """Row of the same method, metric and data set at the smallest positive noise ratio."""
    return min(
        (
            other
            for other in per_class_rows()
            if (other.printed_method, other.metric) == (key.printed_method, key.metric)
            and other.split.partition("_")[0] == key.split.partition("_")[0]
            and _dataset(other) == _dataset(key)
            and ratio(other.split) > 0
        ),
        key=lambda other: ratio(other.split),
    )


def _dataset(key: RowKey) -> str:
    """Data set of a row."""
    return next(iter(rows(PAPER)[key].values())).dataset


def _auroc(key: RowKey) -> dict[str, PublishedCell]:
    """Image AUROC of the same table, split and method, by category."""
    row = rows(PAPER)[RowKey(key.table, key.split, key.printed_method, "image_auroc")]
    return {cell.category: cell for cell in classes(row)}
