"""Score against the number of training images: every class a point, one panel a method, from tail to head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import (
    Area,
    end_labels,
    heading,
    label_room,
    mark,
    nothing,
    stroke,
    x_axis,
    y_axis,
)
from ltbench.reports.figures.scale import Scale, padded, padded_log
from ltbench.reports.figures.svg import document, group, path, tip

_BANDWIDTH = 0.22
"""Bandwidth of the trend's kernel, in decades of training images."""
_MARGIN = 34.0


@dataclass(frozen=True)
class SizedScore:
    """One class (in one seed) of one method."""

    method: str
    category: str
    n_train: int
    score: float
    """0..1."""
    note: str = ""
    """Text shown with the point: seed, group."""


def score_by_size(
    points: Sequence[SizedScore],
    *,
    title: str,
    subtitle: str = "",
    metric: str = "Image AUROC",
    order: Sequence[str] = (),
    width: float = theme.WIDTH,
) -> str:
    """Points of all methods in one frame with a trend line each, labelled at its end.

    The trend is a kernel average over the logarithm of the number of training images: it is there for the
    eye, it is no model. `order` gives every method its colour and mark (default: as they come).
    """
    points = [point for point in points if point.n_train > 0 and math.isfinite(point.score)]
    names = list(dict.fromkeys([*order, *(point.method for point in points)]))
    shown = [name for name in names if any(point.method == name for point in points)]
    if not points:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    room = label_room(shown)
    area = Area(_MARGIN, y + 24, width - room, y + 24 + 250)
    low, high = padded([100 * point.score for point in points], bounds=(0, 100))
    across = Scale(*padded_log([point.n_train for point in points], 0.03), area.left, area.right, is_log=True)
    upward = Scale(low, high, area.bottom, area.top)
    body = [top, _axes(area, across, upward, metric)]
    trends = {name: _trend([p for p in points if p.method == name]) for name in shown}
    body += [
        _series(names.index(name), [p for p in points if p.method == name], across, upward) for name in shown
    ]
    for name, run in [(name, run) for name, runs in trends.items() for run in runs]:
        drawn = [(across(n), upward(score)) for n, score in run]
        at = names.index(name)
        # A halo in the paper's colour keeps lines apart from the points they cross.
        body.append(path(drawn, "halo", stroke=theme.PAPER, stroke_width=4.5, fill="none", opacity=0.8))
        body.append(path(drawn, f"line{at % len(theme.LIGHT)}", tip(f"trend of {name}"), **stroke(at, 2.2)))
    lasts = [(names.index(name), name, upward(runs[-1][-1][1])) for name, runs in trends.items()]
    body.append(end_labels(lasts, area, room))
    return document(width, area.bottom + 42, title, _description(trends, metric), body)


def _axes(area: Area, across: Scale, upward: Scale, metric: str) -> str:
    return x_axis(area, across, "training images of the class (tail to head)") + y_axis(
        area, upward, f"{metric} (%)"
    )


def _series(at: int, points: Sequence[SizedScore], across: Scale, upward: Scale) -> str:
    drawn = []
    for point in points:
        words = (
            f"{point.method}, {point.category}: {100 * point.score:.1f} with {point.n_train} training images"
        )
        words += f" ({point.note})" if point.note else ""
        drawn.append(mark(at, across(point.n_train), upward(100 * point.score), tip(words), radius=2.7))
    return group(drawn, opacity=0.55)


def _trend(points: Sequence[SizedScore]) -> list[list[tuple[float, float]]]:
    """Runs of (training images, score in percent): a Gaussian kernel average where there are points
    nearby."""
    sizes = np.log10([point.n_train for point in points])
    scores = 100 * np.array([point.score for point in points])
    places = np.union1d(np.linspace(sizes.min(), sizes.max(), 40), [sizes.min(), sizes.max()])
    away = np.abs(places[:, None] - sizes)
    weights = np.exp(-0.5 * (away / _BANDWIDTH) ** 2)
    averages = weights @ scores / weights.sum(axis=1)
    is_near = away.min(axis=1) <= _BANDWIDTH
    runs: list[list[tuple[float, float]]] = [[]]
    for place, average, near in zip(places, averages, is_near, strict=True):
        if near:
            runs[-1].append((float(10**place), float(average)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _description(trends: dict[str, list[list[tuple[float, float]]]], metric: str) -> str:
    told = [f"{name} from {runs[0][0][1]:.0f} % to {runs[-1][-1][1]:.0f} %" for name, runs in trends.items()]
    return f"{metric} of each class, from the fewest to the most training images: " + "; ".join(told) + "."
