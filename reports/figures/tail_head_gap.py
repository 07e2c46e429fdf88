"""Loss of a method on rare classes: tail and head scores as the two ends of a dumbbell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import Area, heading, legend, mark, nothing, swatch, x_axis
from ltbench.reports.figures.scale import Scale, padded
from ltbench.reports.figures.svg import document, group, line, text, tip

ROW = 24.0
_GAP = 48.0
"""Room for the gap in points, in pixels."""


@dataclass(frozen=True)
class Pair:
    """A method's means over rare and over frequent classes; fractions."""

    method: str
    rare: float
    frequent: float

    @property
    def gap(self) -> float:
        """Frequent minus rare: positive where the method does worse on rare classes."""
        return self.frequent - self.rare


def tail_head_gap(
    pairs: Sequence[Pair],
    *,
    title: str,
    subtitle: str = "",
    metric: str = "Image AUROC",
    groups: tuple[str, str] = ("tail", "head"),
    width: float = theme.WIDTH,
) -> str:
    """One row a method, the best mean of both ends first; the gap in points is at its right.

    Methods without one of the numbers are listed below the axis as missing.
    """
    told = [pair for pair in pairs if math.isfinite(pair.gap)]
    told.sort(key=lambda pair: (-(pair.rare + pair.frequent), pair.method))
    if not told:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    entries = [
        (swatch(series), f"{name} classes")
        for series, name in zip((theme.TAIL, theme.HEAD), groups, strict=True)
    ]
    keys, y = legend(entries, 4, y - 4, width - 4)
    left = 12 + min(140.0, max(theme.text_width(pair.method, theme.SMALL) for pair in told))
    area = Area(left, y + 16, width - _GAP - 6, y + 16 + ROW * len(told))
    scale = Scale(
        *padded([100 * e for p in told for e in (p.rare, p.frequent)], 0.06, (0, 100)), area.left, area.right
    )
    body = [top, keys, x_axis(area, scale, f"{metric} (%)")]
    body.append(text("gap", area.right + _GAP, area.top - 5, anchor="end", size=theme.SMALL, kind="soft"))
    body += [_row(p, groups, scale, area, area.top + ROW * (at + 0.5)) for at, p in enumerate(told)]
    return document(width, area.bottom + 42, title, _description(told, groups, metric), body)


def _row(pair: Pair, groups: tuple[str, str], scale: Scale, area: Area, y: float) -> str:
    rare, frequent = scale(100 * pair.rare), scale(100 * pair.frequent)
    words = f"{pair.method}: {groups[0]} {100 * pair.rare:.1f}, {groups[1]} {100 * pair.frequent:.1f}"
    gap = f"{100 * pair.gap:+.1f}".replace("-", "−")
    name = theme.shortened(pair.method, area.left - 12, theme.SMALL)
    return group(
        [
            tip(f"{words}, gap {gap} points"),
            text(name, area.left - 9, y + 4, anchor="end", size=theme.SMALL),
            line(rare, y, frequent, y, "axis", stroke=theme.AXIS, stroke_width=3.0),
            mark(theme.TAIL, rare, y, radius=4.8),
            mark(theme.HEAD, frequent, y, radius=4.8),
            text(gap, area.right + _GAP, y + 4, anchor="end", size=theme.SMALL),
        ]
    )


def _description(pairs: Sequence[Pair], groups: tuple[str, str], metric: str) -> str:
    told = [f"{p.method} {100 * p.rare:.1f} and {100 * p.frequent:.1f}" for p in pairs]
    return f"{metric} in percent on {groups[0]} and {groups[1]} classes: " + "; ".join(told) + "."
