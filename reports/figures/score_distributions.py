"""Scores of good and defective test images, class by class: how far apart a method holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import heading, legend, nothing, square
from ltbench.reports.figures.svg import document, group, line, number, tag, text, tip

ROW = 40.0
_BINS = 36


@dataclass(frozen=True)
class ClassScores:
    """Anomaly scores of one class' test images."""

    category: str
    scores: npt.NDArray[np.floating]
    """(N,) higher = more anomalous."""
    labels: npt.NDArray[np.bool_]
    """(N,) True = defective."""
    note: str = ""
    """Stands at the right: its AUROC, for instance."""


def score_distributions(
    classes: Sequence[ClassScores],
    *,
    title: str,
    subtitle: str = "",
    note: str = "",
    width: float = theme.WIDTH,
) -> str:
    """A histogram a class: good images above its line, defective ones below it.

    Each class has its own range of scores from its lowest to its highest, since a score's size means nothing
    across methods; heights are shares of the good and of the defective images, each to its own highest bar.
    """
    if not classes:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    keys, y = legend(
        [
            (square(f"fill{theme.GOOD}", theme.colour(theme.GOOD)), "good (upward)"),
            (square(f"fill{theme.DEFECT}", theme.colour(theme.DEFECT)), "defective (downward)"),
        ],
        4,
        y - 4,
        width - 4,
    )
    left = 12 + min(120.0, max(theme.text_width(row.category, theme.SMALL) for row in classes))
    noted = max(theme.text_width(words, theme.SMALL) for words in [note, *(row.note for row in classes)])
    right = width - noted - 14
    head = y + (16 if note else 4)
    body = [top, keys]
    if note:
        body.append(text(note, width - 4, head - 4, anchor="end", size=theme.SMALL, kind="soft"))
    body += [_row(row, left, right, head + ROW * at, width) for at, row in enumerate(classes)]
    bottom = head + ROW * len(classes)
    body.append(text("lower score", left, bottom + 14, size=theme.SMALL, kind="soft"))
    body.append(text("higher score", right, bottom + 14, anchor="end", size=theme.SMALL, kind="soft"))
    return document(width, bottom + 24, title, _description(classes), body)


def _row(row: ClassScores, left: float, right: float, top: float, width: float) -> str:
    middle = top + ROW / 2
    words = theme.shortened(row.category, left - 12, theme.SMALL)
    parts = [
        tip(
            f"{row.category}: {int((~row.labels).sum())} good, {int(row.labels.sum())} defective test images"
        ),
        text(words, left - 9, middle + 4, anchor="end", size=theme.SMALL),
        text(row.note, width - 4, middle + 4, anchor="end", size=theme.SMALL) if row.note else "",
    ]
    finite = row.scores[np.isfinite(row.scores)]
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
        parts.append(
            _bars(row.scores[~row.labels], edges, (left, right), middle=middle, side=-1, series=theme.GOOD)
        )
        parts.append(
            _bars(row.scores[row.labels], edges, (left, right), middle=middle, side=1, series=theme.DEFECT)
        )
    parts.append(line(left, middle, right, middle, "axis", stroke=theme.AXIS))
    return group(parts)


def _bars(
    scores: npt.NDArray[np.floating],
    edges: npt.NDArray[np.floating],
    across: tuple[float, float],
    *,
    middle: float,
    side: int,
    series: int,
) -> str:
    """A histogram from the line at `middle` upward (side -1) or downward (1)."""
    counts = np.histogram(scores[np.isfinite(scores)], edges)[0]
    if not counts.any():
        return ""
    step = (across[1] - across[0]) / len(counts)
    heights = counts / counts.max() * (ROW / 2 - 3)
    steps = [f"M{number(across[0])} {number(middle)}"]
    for at, height in enumerate(heights):
        if at + 1 == len(heights) or heights[at + 1] != height:
            steps.append(f"V{number(middle + side * height)}H{number(across[0] + step * (at + 1))}")
    steps.append(f"V{number(middle)}Z")
    return tag("path", d="".join(steps), class_=f"fill{series}", fill=theme.colour(series), opacity=0.85)


def _description(classes: Sequence[ClassScores]) -> str:
    told = []
    for row in classes:
        if row.labels.any() and not row.labels.all():
            share = float(np.mean(row.scores[row.labels] > row.scores[~row.labels].max()))
            told.append(f"{row.category} {100 * share:.0f} %")
    return "Share of defective images that score above every good one: " + "; ".join(told) + "."
