"""Accuracy against what it costs: seconds to fit, milliseconds per image, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import Area, heading, mark, nothing, x_axis, y_axis
from ltbench.reports.figures.labels import Box, beside
from ltbench.reports.figures.scale import Scale, padded, padded_log, plain
from ltbench.reports.figures.svg import document, group, line, path, text, tip


@dataclass(frozen=True)
class Costed:
    """A method's cost (in the axis' unit, > 0) and its number with its spread; fractions."""

    method: str
    cost: float
    mean: float
    sd: float = math.nan


def accuracy_by_cost(
    methods: Sequence[Costed],
    *,
    title: str,
    cost: str,
    subtitle: str = "",
    metric: str = "Image AUROC",
    order: Sequence[str] = (),
    width: float = theme.WIDTH,
) -> str:
    """One named point a method over a logarithmic axis of cost; a line joins those that no cheaper one beats.

    Methods without a cost or a number are left out, since a logarithmic axis has no zero.
    """
    told = [m for m in methods if m.cost > 0 and math.isfinite(m.cost) and math.isfinite(m.mean)]
    series = list(dict.fromkeys([*order, *(m.method for m in told)]))
    if not told:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    area = Area(34, y + 24, width - 10, y + 24 + 250)
    across = Scale(*padded_log([m.cost for m in told], 0.12), area.left, area.right, is_log=True)
    ends = [100 * (m.mean + side * (m.sd if math.isfinite(m.sd) else 0)) for m in told for side in (-1, 1)]
    upward = Scale(*padded(ends, 0.12, (0, 100)), area.bottom, area.top)
    body = [top, x_axis(area, across, cost), y_axis(area, upward, f"{metric} (%)")]
    front = _front(told)
    if len(front) > 1:
        steps = [(across(front[0].cost), upward(100 * front[0].mean))]
        for m in front[1:]:
            steps += [(across(m.cost), steps[-1][1]), (across(m.cost), upward(100 * m.mean))]
        words = "no cheaper method is better than those on this line"
        body.append(path(steps, "axis", tip(words), stroke=theme.AXIS, stroke_width=1.5, fill="none",
                         stroke_dasharray="4 3"))  # fmt: skip
    body += [_point(series.index(m.method), m, across, upward, cost) for m in told]
    body += _names(told, across, upward, area)
    return document(width, area.bottom + 42, title, _description(told, front, cost, metric), body)


def _front(methods: Sequence[Costed]) -> list[Costed]:
    """Cheapest first: methods that are better than every cheaper one."""
    front = list[Costed]()
    for method in sorted(methods, key=lambda m: (m.cost, -m.mean)):
        if not front or method.mean > front[-1].mean:
            front.append(method)
    return front


def _point(at: int, method: Costed, across: Scale, upward: Scale, cost: str) -> str:
    x, y = across(method.cost), upward(100 * method.mean)
    words = f"{method.method}: {100 * method.mean:.1f} %"
    parts = list[str]()
    if math.isfinite(method.sd):
        words += f" ± {100 * method.sd:.1f}"
        ends = (
            upward(max(0.0, 100 * (method.mean - method.sd))),
            upward(min(100.0, 100 * (method.mean + method.sd))),
        )
        kind = f"line{at % len(theme.LIGHT)}"
        parts.append(
            line(x, ends[0], x, ends[1], kind, stroke=theme.colour(at), stroke_width=1.5, opacity=0.6)
        )
    parts = [tip(f"{words}, {cost} {plain(float(f'{method.cost:.3g}'))}"), *parts, mark(at, x, y, radius=4.8)]
    return group(parts)


def _names(methods: Sequence[Costed], across: Scale, upward: Scale, area: Area) -> list[str]:
    """A name beside each point where it covers no other; a thin line leads to those that stand farther
    off."""
    bounds = Box(area.left, area.top - 4, area.right + 8, area.bottom)
    spots = [(across(m.cost), upward(100 * m.mean)) for m in methods]
    taken = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in spots]
    parts = []
    for method, (x, y) in sorted(zip(methods, spots, strict=True), key=lambda pair: pair[1]):
        name = theme.shortened(method.method, 130, theme.SMALL)
        size = theme.text_width(name, theme.SMALL), 13.0
        box = beside((x, y), size, taken, bounds, 7.0)
        if box is None:
            continue  # its tip names the point
        taken.append(box)
        near = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
        if math.dist(near, (x, y)) > 10:
            parts.append(line(x, y, near[0], near[1], "axis", stroke=theme.AXIS, stroke_width=0.8))
        parts.append(text(name, box.left, box.bottom - 2.5, size=theme.SMALL, is_over=True))
    return parts


def _description(methods: Sequence[Costed], front: Sequence[Costed], cost: str, metric: str) -> str:
    told = [f"{m.method} {100 * m.mean:.1f} % for {plain(float(f'{m.cost:.3g}'))}" for m in methods]
    best = ", ".join(m.method for m in front)
    return f"{metric} against {cost}: " + "; ".join(told) + f". No cheaper method is better than: {best}."
