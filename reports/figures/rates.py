"""Curves of a rate against the false positive rate: what ROC and PRO figures share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import Area, heading, legend, nothing, stroke, swatch, x_axis, y_axis
from ltbench.reports.figures.scale import Scale
from ltbench.reports.figures.svg import Attribute, document, line, path, tip


@dataclass(frozen=True)
class RateCurve:
    """A curve from (0, 0) on; both rates are fractions and do not decrease."""

    name: str
    false_positives: npt.NDArray[np.floating]
    covered: npt.NDArray[np.floating]
    area: float = math.nan
    """Area under the curve, shown in the legend with the tables' value."""


def rate_figure(
    curves: Sequence[RateCurve],
    *,
    title: str,
    subtitle: str,
    labels: tuple[str, str],
    limit: float,
    order: Sequence[str],
    width: float,
) -> str:
    """Curves up to the false positive rate `limit`; where it is 1 the diagonal of chance is drawn."""
    names = list(dict.fromkeys([*order, *(curve.name for curve in curves)]))
    if not curves:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    entries = [(swatch(names.index(c.name), has_line=True, has_mark=False), _named(c)) for c in curves]
    keys, y = legend(entries, 4, y - 4, width - 4)
    area = Area(38, y + 24, width - 12, y + 24 + 0.66 * (width - 50))
    across = Scale(0, 100 * limit, area.left, area.right)
    upward = Scale(0, 100, area.bottom, area.top)
    body = [top, keys, x_axis(area, across, labels[0]), y_axis(area, upward, labels[1])]
    if limit == 1:
        look: dict[str, Attribute] = {"stroke": theme.AXIS, "stroke_dasharray": "3 3"}
        body.append(line(area.left, area.bottom, area.right, area.top, "axis", tip("chance"), **look))
    for curve in curves:
        at = names.index(curve.name)
        cut = _cut(curve, limit)
        points = thinned(np.column_stack([_placed(across, 100 * cut[0]), _placed(upward, 100 * cut[1])]))
        body.append(path(points, f"line{at % len(theme.LIGHT)}", tip(_named(curve)), **stroke(at)))
    told = "; ".join(_named(curve) for curve in curves)
    return document(width, area.bottom + 42, title, f"{labels[1]} against {labels[0]}: {told}.", body)


def _named(curve: RateCurve) -> str:
    return curve.name if math.isnan(curve.area) else f"{curve.name} {100 * curve.area:.1f}"


def _cut(curve: RateCurve, limit: float) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """The curve up to the limit, where it is interpolated."""
    inside = curve.false_positives <= limit
    across, upward = curve.false_positives[inside], curve.covered[inside]
    if inside.all():
        return across, upward
    end = np.interp(limit, curve.false_positives, curve.covered)
    return np.append(across, limit), np.append(upward, end)


def _placed(scale: Scale, values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return scale.start + (scale.end - scale.start) * (values - scale.low) / (scale.high - scale.low)


def thinned(points: npt.NDArray[np.floating], tolerance: float = 0.4) -> list[tuple[float, float]]:
    """A line through fewer of (N, 2) points, within `tolerance` pixels of all (Douglas and Peucker 1973).

    A curve of a million scores becomes some dozens of corners.
    """
    grid = np.round(points / (tolerance / 2))
    changes = np.any(np.diff(grid, axis=0) != 0, axis=1)
    # Both ends of every standstill: steps keep their corners.
    points = points[np.concatenate([[True], changes]) | np.concatenate([changes, [True]])]
    kept = np.zeros(len(points), dtype=bool)
    kept[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        away = _distances(points[first + 1 : last], points[first], points[last])
        farthest = int(np.argmax(away))
        if away[farthest] > tolerance / 2:
            middle = first + 1 + farthest
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    return [(float(x), float(y)) for x, y in points[kept]]


def _distances(
    points: npt.NDArray[np.floating], start: npt.NDArray[np.floating], end: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """(N,) distances of points (N, 2) from the line between two points."""
    step, offsets = end - start, points - start
    length = math.hypot(*step)
    if length == 0:
        return np.hypot(offsets[:, 0], offsets[:, 1])
    return np.asarray(np.abs(step[0] * offsets[:, 1] - step[1] * offsets[:, 0]) / length)
