"""Curves of a rate against the false positive rate: what ROC and PRO figures share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.figures import theme
from reports.figures.axes import Area, heading, legend, stroke, swatch, x_axis, y_axis
from reports.figures.scale import Scale
from reports.figures.svg import document, line, path, tip


@dataclass(frozen=True)
class RateCurve:
    """A curve from (0, 0) on; both rates are fractions and do not decrease."""

    name: str
    false_positives: npt.NDArray[np.floating]
    covered: npt.NDArray[np.floating]
    area: float = math.nan
    """What the legend tells: the area under the curve as the tables have it."""


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
    top, y = heading(title, subtitle, width)
    entries = [(swatch(names.index(c.name), has_line=True, has_mark=False), _named(c)) for c in curves]
    keys, y = legend(entries, 4, y - 4, width - 4)
    area = Area(38, y + 24, width - 12, y + 24 + 0.66 * (width - 50))
    across = Scale(0, 100 * limit, area.left, area.right)
    upward = Scale(0, 100, area.bottom, area.top)
    body = [top, keys, x_axis(area, across, labels[0]), y_axis(area, upward, labels[1])]
    if limit == 1:
        body.append(line(area.left, area.bottom, area.right, area.top, "axis", tip("chance"), stroke=theme.AXIS,
                         stroke_dasharray="3 3"))  # fmt: skip
    for curve in curves:
        at = names.index(curve.name)
        points = _thinned(*_cut(curve, limit), across, upward)
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


def _thinned(
    across: npt.NDArray[np.floating], upward: npt.NDArray[np.floating], x: Scale, y: Scale
) -> list[tuple[float, float]]:
    """Points in pixels without those that lie on the way between their neighbours, nearly."""
    xs = x.start + (x.end - x.start) * (100 * across - x.low) / (x.high - x.low)
    ys = y.start + (y.end - y.start) * (100 * upward - y.low) / (y.high - y.low)
    kept = [(float(xs[0]), float(ys[0]))] if len(xs) else []
    for at in range(1, len(xs)):
        is_last = at == len(xs) - 1
        (a, b), here = kept[-1], (float(xs[at]), float(ys[at]))
        following = here if is_last else (float(xs[at + 1]), float(ys[at + 1]))
        turn = abs((here[0] - a) * (following[1] - b) - (here[1] - b) * (following[0] - a))
        length = math.hypot(following[0] - a, following[1] - b)
        if is_last or turn > 0.15 * length:
            kept.append(here)
    return kept
