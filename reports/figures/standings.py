"""Means with their intervals and the interval of each rank: how much of an order is real."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import Area, heading, legend, mark, nothing, swatch, x_axis
from ltbench.reports.figures.scale import Scale, padded
from ltbench.reports.figures.svg import document, group, line, text, tip

ROW = 23.0


@dataclass(frozen=True)
class Standing:
    """A method's number, its interval (fractions) and the interval of its rank."""

    method: str
    mean: float
    low: float
    high: float
    rank_low: float
    rank_high: float
    tier: int
    """1 = not significantly worse than the best; 0 = not ranked."""


def standings_figure(
    standings: Sequence[Standing],
    *,
    title: str,
    subtitle: str = "",
    metric: str = "Image AUROC",
    width: float = theme.WIDTH,
) -> str:
    """One row a method, best mean first: its mean and interval on an axis, its ranks in words.

    The best group has bold names and marks of its own, methods that are not ranked come last.
    """
    told = sorted(
        (s for s in standings if math.isfinite(s.mean)), key=lambda s: (s.tier == 0, -s.mean, s.method)
    )
    if not told:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    entries = [(theme.HEAD, "best group"), (_OTHER, "significantly worse"), (_UNRANKED, "not ranked")]
    keys, y = legend([(swatch(series), words) for series, words in entries], 4, y - 4, width - 4)
    left = 12 + min(140.0, max(theme.text_width(s.method, theme.SMALL, is_bold=True) for s in told))
    area = Area(left, y + 18, width - 62, y + 18 + ROW * len(told))
    ends = [100 * end for s in told for end in (s.mean, s.low, s.high)]
    scale = Scale(*padded(ends, 0.05, (0, 100)), area.left, area.right)
    body = [top, keys, x_axis(area, scale, f"{metric} (%)")]
    body.append(text("rank", width - 4, area.top - 5, anchor="end", size=theme.SMALL, kind="soft"))
    body += [_row(s, scale, area, area.top + ROW * (at + 0.5), width=width) for at, s in enumerate(told)]
    return document(width, area.bottom + 42, title, _description(told, metric), body)


_OTHER, _UNRANKED = 6, 7


def _row(standing: Standing, scale: Scale, area: Area, y: float, *, width: float) -> str:
    series = {0: _UNRANKED, 1: theme.HEAD}.get(standing.tier, _OTHER)
    kind = f"line{series % len(theme.LIGHT)}"
    words = f"{standing.method}: {100 * standing.mean:.1f} %"
    parts = list[str]()
    if math.isfinite(standing.low):
        words += f", interval {100 * standing.low:.1f} to {100 * standing.high:.1f}"
        parts.append(line(scale(100 * standing.low), y, scale(100 * standing.high), y, kind,
                          stroke=theme.colour(series), stroke_width=2.0))  # fmt: skip
    ranks = _ranks(standing)
    is_best = standing.tier == 1
    name = theme.shortened(standing.method, area.left - 12, theme.SMALL, is_bold=is_best)
    weight = 600 if is_best else None
    parts += [
        mark(series, scale(100 * standing.mean), y, radius=4.6),
        text(name, area.left - 9, y + 4, anchor="end", size=theme.SMALL, weight=weight),
        text(ranks, width - 4, y + 4, anchor="end", size=theme.SMALL),
    ]
    return group([tip(f"{words}, rank {ranks}"), *parts])


def _ranks(standing: Standing) -> str:
    if not math.isfinite(standing.rank_low):
        return "–"
    low, high = f"{standing.rank_low:.0f}", f"{standing.rank_high:.0f}"
    return low if low == high else f"{low} to {high}"


def _description(standings: Sequence[Standing], metric: str) -> str:
    best = ", ".join(s.method for s in standings if s.tier == 1) or "none"
    told = "; ".join(f"{s.method} {100 * s.mean:.1f} %, rank {_ranks(s)}" for s in standings)
    return f"{metric} with intervals: {told}. Best group: {best}."
