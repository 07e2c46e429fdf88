"""Figures from the image scores and curves that cells store, for the first requested seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ltbench.reports.entries import Entry
from ltbench.reports.figures import heat_map as heat
from ltbench.reports.figures import score_distributions as distributions
from ltbench.reports.figures.pro import LIMIT, pro_curves
from ltbench.reports.figures.rates import RateCurve
from ltbench.reports.figures.roc import roc_curves, roc_points
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.tables import Table

MOST_CURVES = 5
"""Methods in a figure where each has a colour: the best ranked ones."""
MOST_DISTRIBUTIONS = 2
_RATES = np.linspace(0, 1, 201)

Floats = npt.NDArray[np.floating]


def class_heat_map(sheet: Sheet, at: int) -> str:
    """Every category by every method, of the metric at this position."""
    metric, table = sheet.board.metrics[at], sheet.classes[at]
    lines = [line for line in table.lines if any(number.mean is not None for number in line.numbers)]
    sizes = _sizes(sheet)
    rows = [
        heat.HeatRow(
            name,
            sizes[name],
            [np.nan if (mean := line.numbers[c].mean) is None else mean for line in lines],
            [line.numbers[c].why for line in lines],
        )
        for c, name in enumerate(sheet.board.categories)
    ]
    if len(lines) < 2 or len(rows) < 2:
        return ""
    return heat.heat_map(
        [line.entry.label for line in lines],
        rows,
        title="Every category",
        subtitle=_where(sheet),
        metric=metric.title,
        note="train",
    )


def score_figures(sheet: Sheet, spread: int = MOST_DISTRIBUTIONS) -> Iterator[tuple[str, str]]:
    """(name, SVG): ROC and PRO curves of the best methods; for the first `spread` ones, how scores lie."""
    seed = sheet.board.asked[0]
    chosen = _chosen(sheet.metrics[0], seed)
    scores = {entry.anchor: entry.cells[seed].scores() for entry in chosen}
    told = [entry for entry in chosen if len(scores[entry.anchor])]
    where = f"{_where(sheet, seed)}; mean over categories at equal rates"
    curves = [_mean_roc(entry.label, scores[entry.anchor]) for entry in told[:MOST_CURVES]]
    if curves:
        yield "roc", roc_curves(curves, title="ROC", subtitle=where)
    localising = next((at for at, one in enumerate(sheet.board.metrics) if one.curve == "pro"), None)
    pro = [] if localising is None else _pro(_chosen(sheet.metrics[localising], seed)[:MOST_CURVES], seed)
    if pro:
        yield "pro", pro_curves(pro, title="Per-region overlap", subtitle=where)
    for entry in told[:spread]:
        yield f"scores-{entry.anchor}", _distribution(sheet, entry, scores[entry.anchor], seed)


def _chosen(table: Table, seed: int) -> list[Entry]:
    """Ranked methods first, the best ahead; those that finished the seed and have a number."""
    lines = [line for line in table.lines if seed in line.entry.finished and line.numbers[0].mean is not None]
    return [line.entry for line in sorted(lines, key=lambda line: not line.entry.is_ranked)][:MOST_CURVES]


def _mean_roc(name: str, scores: pd.DataFrame) -> RateCurve:
    """The mean of the categories' true positive rates at each false positive rate; its area is their mean."""
    ups, areas = [], []
    for _, rows in scores.groupby("category", sort=True):
        labels = rows["label"].to_numpy(dtype=bool)
        if labels.all() or not labels.any():
            continue
        one = roc_points("", rows["score"].to_numpy(dtype=np.float64), labels)
        ups.append(_at(_RATES, one.false_positives, one.covered))
        areas.append(one.area)
    if not ups:
        return RateCurve(name, _RATES, np.zeros(len(_RATES)))
    rising = np.concatenate([[0.0], np.mean(ups, axis=0)])
    return RateCurve(name, np.concatenate([[0.0], _RATES]), rising, float(np.mean(areas)))


def _at(rates: Floats, across: Floats, upward: Floats) -> Floats:
    """Height of a curve at each rate, the highest where it rises straight up."""
    last = np.searchsorted(across, rates, "right") - 1
    following = np.minimum(last + 1, len(across) - 1)
    width = across[following] - across[last]
    share = np.divide(rates - across[last], width, out=np.zeros(len(rates)), where=width > 0)
    return np.asarray(upward[last] + share * (upward[following] - upward[last]))


def _pro(entries: Sequence[Entry], seed: int) -> list[RateCurve]:
    found = []
    for entry in entries:
        rows = entry.cells[seed].curves()
        rows = rows[rows["curve"] == "pro"]
        if not len(rows):
            continue
        across = rows.groupby("category", sort=True)["false_positives"].first().index
        table = np.stack([rows[rows["category"] == name]["covered"].to_numpy() for name in across])
        rates = rows[rows["category"] == across[0]]["false_positives"].to_numpy(dtype=np.float64)
        mean = table.mean(axis=0).astype(np.float64)
        found.append(RateCurve(entry.label, rates, mean, float(np.trapezoid(mean, rates) / LIMIT)))
    return found


def _distribution(sheet: Sheet, entry: Entry, scores: pd.DataFrame, seed: int) -> str:
    classes = []
    for name in sheet.board.categories:
        rows = scores[scores["category"] == name]
        labels = rows["label"].to_numpy(dtype=bool)
        values = rows["score"].to_numpy(dtype=np.float64)
        if len(rows):
            both = labels.any() and not labels.all()
            note = f"{100 * roc_points('', values, labels).area:.1f}" if both else ""
            classes.append(distributions.ClassScores(name, values, labels, note))
    return distributions.score_distributions(
        classes, title=f"Scores of {entry.label}", subtitle=_where(sheet, seed), note="AUROC"
    )


def _where(sheet: Sheet, seed: int | None = None) -> str:
    board = sheet.board
    count = len(board.asked)
    told = f"seed {seed}" if seed is not None else f"{count} seed{'s' if count > 1 else ''}"
    return f"{board.dataset_title}, {board.split}, {told}"


def _sizes(sheet: Sheet) -> dict[str, str]:
    """Training images of each category: "4", or "4–97" where seeds differ."""
    found: dict[str, list[int]] = {}
    for seed in sheet.board.seeds:
        for name, row in sheet.board.counts(seed).items():
            found.setdefault(name, []).append(row.n_train)
    return {name: f"{min(n)}" if min(n) == max(n) else f"{min(n)}–{max(n)}" for name, n in found.items()}
