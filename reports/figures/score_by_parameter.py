"""Score against what a family of splits varies: imbalance, shots per class, share of unlabelled defects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
from ltbench.reports.figures.scale import Scale, padded, padded_log, plain
from ltbench.reports.figures.svg import document, group, number, path, tag, tip


@dataclass(frozen=True)
class Reading:
    """A method's number at one value of the parameter; fractions, not percent."""

    at: float
    mean: float
    low: float = math.nan
    high: float = math.nan
    """Ends of the interval that is drawn as a band; NaN for none."""


@dataclass(frozen=True)
class Curve:
    """One method over all values of the parameter."""

    method: str
    readings: Sequence[Reading]


def score_by_parameter(
    curves: Sequence[Curve],
    *,
    title: str,
    parameter: str,
    subtitle: str = "",
    metric: str = "Image AUROC",
    is_log: bool = False,
    order: Sequence[str] = (),
    width: float = theme.WIDTH,
) -> str:
    """One line a method with marks at its readings, a band for their intervals and its name at the end.

    A reading without a number (NaN) breaks the line. `order` gives every method its colour and mark.
    """
    names = list(dict.fromkeys([*order, *(curve.method for curve in curves)]))
    told = [reading for curve in curves for reading in curve.readings if math.isfinite(reading.mean)]
    if not told:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    room = label_room(curve.method for curve in curves)
    area = Area(34, y + 24, width - room, y + 24 + 230)
    places = sorted({reading.at for reading in told})
    across = Scale(*(padded_log if is_log else padded)(places, 0.03), area.left, area.right, is_log)
    ends = [100 * end for r in told for end in (r.mean, r.low, r.high)]
    upward = Scale(*padded(ends, bounds=(0, 100)), area.bottom, area.top)
    at = places if len(places) <= 8 else None
    body = [top, x_axis(area, across, parameter, at=at), y_axis(area, upward, f"{metric} (%)")]
    body += [_band(names.index(curve.method), curve, across, upward) for curve in curves]
    body += [_line(names.index(curve.method), curve, across, upward, parameter) for curve in curves]
    lasts = [
        (names.index(c.method), c.method, upward(100 * _runs(c)[-1][-1].mean)) for c in curves if _runs(c)
    ]
    body.append(end_labels(lasts, area, room))
    return document(width, area.bottom + 42, title, _description(curves, parameter, metric), body)


def _runs(curve: Curve) -> list[list[Reading]]:
    """Readings by place, broken where there is no number."""
    runs: list[list[Reading]] = [[]]
    for reading in sorted(curve.readings, key=lambda reading: reading.at):
        if math.isfinite(reading.mean):
            runs[-1].append(reading)
        else:
            runs.append([])
    return [run for run in runs if run]


def _band(at: int, curve: Curve, across: Scale, upward: Scale) -> str:
    parts = []
    for run in _runs(curve):
        closed = [r for r in run if math.isfinite(r.low) and math.isfinite(r.high)]
        if len(closed) > 1:
            lower = [(across(r.at), upward(100 * r.low)) for r in closed]
            upper = [(across(r.at), upward(100 * r.high)) for r in reversed(closed)]
            points = " ".join(f"{number(x)},{number(y)}" for x, y in lower + upper)
            kind = f"fill{at % len(theme.LIGHT)}"
            parts.append(tag("polygon", points=points, class_=kind, fill=theme.colour(at), opacity=0.13))
    return "".join(parts)


def _line(at: int, curve: Curve, across: Scale, upward: Scale, parameter: str) -> str:
    parts, kind = list[str](), f"line{at % len(theme.LIGHT)}"
    for run in _runs(curve):
        parts.append(path([(across(r.at), upward(100 * r.mean)) for r in run], kind, **stroke(at)))
        for r in run:
            words = f"{curve.method}, {parameter} {plain(r.at)}: {100 * r.mean:.1f}"
            if math.isfinite(r.low):
                words += f" ({100 * r.low:.1f} to {100 * r.high:.1f})"
            parts.append(mark(at, across(r.at), upward(100 * r.mean), tip(words)))
    return group(parts)


def _description(curves: Sequence[Curve], parameter: str, metric: str) -> str:
    told = []
    for curve in curves:
        run = [reading for run in _runs(curve) for reading in run]
        if run:
            told.append(
                f"{curve.method} {100 * run[0].mean:.1f} % at {plain(run[0].at)}, "
                f"{100 * run[-1].mean:.1f} % at {plain(run[-1].at)}"
            )
    return f"{metric} against {parameter}: " + "; ".join(told) + "."
