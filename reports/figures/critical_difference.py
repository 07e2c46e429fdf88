"""Critical-difference diagram (Demsar 2006): average ranks, and bars over those that do not differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import heading, nothing
from ltbench.reports.figures.scale import Scale
from ltbench.reports.figures.svg import Attribute, document, group, line, path, tag, text, tip
from ltbench.reports.statistics.ranking import cliques

ROW = 20.0
_BAR = 7.0
_NAME = 112.0
_RANK = 40.0


@dataclass(frozen=True)
class Ranked:
    """A method and its mean rank over classes, 1 = best."""

    method: str
    average_rank: float


def critical_difference_diagram(
    methods: Sequence[Ranked],
    difference: float,
    *,
    title: str,
    subtitle: str = "",
    width: float = theme.WIDTH,
) -> str:
    """An axis of average ranks, best at the left; bars join methods that Nemenyi's test cannot tell apart.

    `difference` is the critical difference in ranks. The better half is named at the left, the other at the
    right.
    """
    ordered = sorted(methods, key=lambda method: (method.average_rank, method.method))
    count = len(ordered)
    if not ordered:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    half = (count + 1) // 2
    ends = [4 + _room(ordered[:half]), width - 4 - _room(ordered[half:])]
    scale = Scale(1, max(count, 2), ends[0] + _RANK + 12, ends[1] - _RANK - 12)
    axis = y + 58
    bars = cliques(np.array([method.average_rank for method in ordered]), difference)
    body = [top, _axis(scale, axis, count), _scale_bar(scale, difference, y + 12)]
    for at, bar in enumerate(bars):
        body.append(_bar(ordered, bar, scale, axis + 11 + _BAR * at))
    first = axis + 20 + _BAR * len(bars)
    for at, method in enumerate(ordered):
        is_left = at < half
        y = first + ROW * (at if is_left else count - 1 - at)
        body.append(_method(method, scale, axis, (ends[0] if is_left else ends[1], y)))
    height = first + ROW * max(half - 1, 0) + 16
    return document(width, height, title, _description(ordered, bars, difference), body)


def _room(methods: Sequence[Ranked]) -> float:
    """Pixels that the names of one side take."""
    return min(_NAME, max((theme.text_width(m.method, theme.SMALL) for m in methods), default=0))


def _axis(scale: Scale, y: float, count: int) -> str:
    parts = [line(scale.start, y, scale.end, y, "axis", stroke=theme.AXIS, stroke_width=1.5)]
    every = 1 if (scale.end - scale.start) / max(count - 1, 1) > 15 else 2
    for rank in range(1, count + 1):
        x = scale(rank)
        parts.append(line(x, y - 5, x, y, "axis", stroke=theme.AXIS))
        if (rank - 1) % every == 0:
            parts.append(text(str(rank), x, y - 9, anchor="middle", size=theme.SMALL, kind="soft"))
    return group(parts)


def _scale_bar(scale: Scale, difference: float, y: float) -> str:
    """Bar as long as the critical difference on the axis, at the axis' start."""
    end = min(scale.start + (scale.end - scale.start) * difference / (scale.high - scale.low), scale.end)
    words = f"critical difference {difference:.2f}"
    # Beside the bar if there is room, else before it.
    fits = end + 8 + theme.text_width(words, theme.SMALL) < 2 * scale.start + scale.end - scale.start - 4
    return group(
        [
            path([(scale.start, y - 4), (scale.start, y + 4)], "inkline", stroke=theme.INK, stroke_width=1.5),
            line(scale.start, y, end, y, "inkline", stroke=theme.INK, stroke_width=1.5),
            path([(end, y - 4), (end, y + 4)], "inkline", stroke=theme.INK, stroke_width=1.5),
            text(words, end + 8 if fits else end, y + 4 if fits else y + 19, size=theme.SMALL,
                 anchor="start" if fits else "end"),
        ]
    )  # fmt: skip


def _bar(ordered: Sequence[Ranked], bar: Sequence[int], scale: Scale, y: float) -> str:
    first, last = scale(ordered[bar[0]].average_rank), scale(ordered[bar[-1]].average_rank)
    words = "no significant difference: " + ", ".join(ordered[at].method for at in bar)
    kind = f"line{theme.HEAD}"
    look: dict[str, Attribute] = {"stroke": theme.colour(theme.HEAD), "stroke_width": 4.0}
    return line(first - 4, y, last + 4, y, kind, tip(words), stroke_linecap="round", **look)


def _method(method: Ranked, scale: Scale, axis: float, end: tuple[float, float]) -> str:
    """A line from the axis down and outward to `end`, the rank on it and the name beyond it."""
    rank, at, (x, y) = f"{method.average_rank:.2f}", scale(method.average_rank), end
    outward = -1 if x < scale.start else 1
    outside, inside = ("end", "start") if outward < 0 else ("start", "end")
    name = theme.shortened(method.method, _NAME, theme.SMALL)
    return group(
        [
            tip(f"{method.method}: average rank {rank}"),
            path([(at, axis), (at, y), (x - _RANK * outward, y)], "axis", stroke=theme.AXIS, fill="none"),
            tag("circle", cx=at, cy=axis, r=3.2, class_=f"fill{theme.HEAD}", fill=theme.colour(theme.HEAD)),
            text(rank, x - 5 * outward, y + 4, anchor=inside, size=theme.SMALL, kind="soft"),
            text(name, x, y + 4, anchor=outside, size=theme.SMALL),
        ]
    )  # fmt: skip


def _description(ordered: Sequence[Ranked], bars: Sequence[Sequence[int]], difference: float) -> str:
    told = "; ".join(f"{method.method} {method.average_rank:.2f}" for method in ordered)
    same = "; ".join(", ".join(ordered[at].method for at in bar) for bar in bars) or "none"
    return (
        f"Average ranks: {told}. Critical difference {difference:.2f}. Not significantly different: {same}."
    )
