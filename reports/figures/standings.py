"""Means with their intervals and the interval of each rank: how much of an order is real."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import Area, heading, legend, mark, nothing, swatch, x_axis
from ltbench.reports.figures.scale import Scale, padded
from ltbench.reports.figures.svg import document, group, line, text, tip
from ltbench.reports.numbers import Number

ROW = 23.0


Named = tuple[str, Number]
"""A method's name and a number that has a mean."""


def standings_figure(
    rows: Sequence[Named],
    *,
    title: str,
    subtitle: str = "",
    metric: str = "Image AUROC",
    width: float = theme.WIDTH,
) -> str:
    """One row a method, best mean first: its mean and interval on an axis, its ranks in words.

    The best group has bold names and marks of its own, methods that are not ranked come last.
    """
    told = sorted(rows, key=lambda row: (row[1].standing is None, -_mean(row), row[0]))
    if not told:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    entries = [(theme.HEAD, "best group"), (_OTHER, "significantly worse"), (_UNRANKED, "not ranked")]
    keys, y = legend([(swatch(series), words) for series, words in entries], 4, y - 4, width - 4)
    left = 12 + min(140.0, max(theme.text_width(name, theme.SMALL, is_bold=True) for name, _ in told))
    area = Area(left, y + 18, width - 62, y + 18 + ROW * len(told))
    ends = [end for row in told for end in (_mean(row), *(100 * side for side in row[1].interval or ()))]
    scale = Scale(*padded(ends, 0.05, (0, 100)), area.left, area.right)
    body = [top, keys, x_axis(area, scale, f"{metric} (%)")]
    body.append(text("rank", width - 4, area.top - 5, anchor="end", size=theme.SMALL, kind="soft"))
    body += [_row(row, scale, area, area.top + ROW * (at + 0.5), width=width) for at, row in enumerate(told)]
    return document(width, area.bottom + 42, title, _description(told, metric), body)


_OTHER, _UNRANKED = 6, 7


def _mean(row: Named) -> float:
    """Mean score in percent."""
    return 100 * (row[1].mean or 0.0)


def _tier(row: Named) -> int:
    """1 = not significantly worse than the best; 0 = not ranked."""
    return row[1].standing.tier if row[1].standing else 0


def _row(row: Named, scale: Scale, area: Area, y: float, *, width: float) -> str:
    method, number = row
    series = {0: _UNRANKED, 1: theme.HEAD}.get(_tier(row), _OTHER)
    kind = f"line{series % len(theme.LIGHT)}"
    words = f"{method}: {_mean(row):.1f} %"
    low, high = (100 * end for end in number.interval or (number.mean or 0.0,) * 2)
    words += f", interval {low:.1f} to {high:.1f}"
    is_best = _tier(row) == 1
    parts = [
        line(scale(low), y, scale(high), y, kind, stroke=theme.colour(series), stroke_width=2.0),
        mark(series, scale(_mean(row)), y, radius=4.6),
        text(
            theme.shortened(method, area.left - 12, theme.SMALL, is_bold=is_best), area.left - 9, y + 4,
            anchor="end", size=theme.SMALL, weight=600 if is_best else None,
        ),
        text(_ranks(row), width - 4, y + 4, anchor="end", size=theme.SMALL),
    ]  # fmt: skip
    return group([tip(f"{words}, rank {_ranks(row)}"), *parts])


def _ranks(row: Named) -> str:
    one = row[1].standing
    if one is None:
        return "–"
    low, high = f"{one.rank_low:.0f}", f"{one.rank_high:.0f}"
    return low if low == high else f"{low} to {high}"


def _description(rows: Sequence[Named], metric: str) -> str:
    best = ", ".join(row[0] for row in rows if _tier(row) == 1) or "none"
    told = "; ".join(f"{row[0]} {_mean(row):.1f} %, rank {_ranks(row)}" for row in rows)
    return f"{metric} with intervals: {told}. Best group: {best}."
