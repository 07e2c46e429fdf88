"""Every class by every method: numbers on a shade."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import heading, nothing
from ltbench.reports.figures.svg import Attribute, document, group, tag, text, tip

ROW = 20.0
_NAME = 130.0
_COLUMN = 27.0
"""Least width; numbers lose their decimal where a column is narrower than `_WIDE`."""
_WIDE = 36.0
_DEEPEST = 0.62
"""Opacity of the strongest shade: numbers on it keep their contrast in light and dark."""


@dataclass(frozen=True)
class HeatRow:
    """Row of a class: its name, a note, and a fraction (or NaN) for every method."""

    category: str
    note: str
    """Text beside the class, e.g. its number of training images."""
    values: Sequence[float]
    reasons: Sequence[str] = ()
    """Reason for a NaN, one per method."""


def heat_map(
    methods: Sequence[str],
    rows: Sequence[HeatRow],
    *,
    title: str,
    subtitle: str = "",
    metric: str = "Image AUROC",
    note: str = "n",
    width: float = theme.WIDTH,
) -> str:
    """Numbers in percent, the better the stronger their shade; the best of a class is bold, a hole is a dash.

    The shade spans the numbers shown, so that two figures may shade one number differently. More methods than
    the width holds make the figure wider.
    """
    if not rows or not methods:
        return nothing(title, subtitle, width)
    told = [100 * value for row in rows for value in row.values if math.isfinite(value)]
    low, high = (min(told), max(told)) if told else (0.0, 100.0)
    top, y = heading(title, f"{subtitle}{', ' if subtitle else ''}{metric} (%)", width)
    names = 8 + min(120.0, max(theme.text_width(row.category, theme.SMALL) for row in rows))
    noted = 10 + max(theme.text_width(row.note, theme.SMALL) for row in rows)
    left = 4 + names + noted
    # Level names need the room of the widest; where there is less they are turned.
    told_names = [theme.shortened(name, _NAME, theme.SMALL) for name in methods]
    lengths = [theme.text_width(name, theme.SMALL) for name in told_names]
    widest = max(lengths)
    column = min(90.0, (width - left - 8) / max(len(methods), 1))
    turned = widest + 6 > column
    rise = 6.0
    if turned:
        # By 50 degrees; a name leans to the right by 0.643 of its length.
        rise = 0.766 * widest + 8
        fitting = [(width - left - 4 - 0.643 * long) / (at + 0.5) for at, long in enumerate(lengths)]
        column = max(_COLUMN, min(column, *fitting))
        ends = [left + column * (at + 0.5) + 0.643 * long + 4 for at, long in enumerate(lengths)]
        width = max(width, left + column * len(methods) + 8, *ends)
    head = y + rise + 4
    body = [top, text(note, left - 6, head - 6, anchor="end", size=theme.SMALL, kind="soft")]
    for at, name in enumerate(told_names):
        x = left + column * (at + 0.5)
        if turned:
            body.append(text(name, x - 2, head - 5, size=theme.SMALL, turn=-50))
        else:
            body.append(text(name, x, head - 6, anchor="middle", size=theme.SMALL))
    for at, row in enumerate(rows):
        where = head + ROW * at
        body.append(_row(methods, row, (left, where), column, (low, high)))
        words = theme.shortened(row.category, names, theme.SMALL)
        body.append(text(words, 4, where + 14, size=theme.SMALL))
        body.append(text(row.note, left - 6, where + 14, anchor="end", size=theme.SMALL, kind="soft"))
    bottom = head + ROW * len(rows)
    body.append(_key(low, high, left, bottom + 14))
    return document(width, bottom + 40, title, _description(methods, rows, metric), body)


def _row(
    methods: Sequence[str],
    row: HeatRow,
    corner: tuple[float, float],
    column: float,
    span: tuple[float, float],
) -> str:
    best = max((value for value in row.values if math.isfinite(value)), default=math.nan)
    parts = []
    for at, (method, value) in enumerate(zip(methods, row.values, strict=True)):
        x, y = corner[0] + column * at, corner[1]
        if math.isfinite(value):
            words = f"{row.category}, {method}: {100 * value:.1f}"
            weight = 650 if value == best else None
            shown = f"{100 * value:.1f}" if column >= _WIDE else f"{100 * value:.0f}"
            inner = text(shown, x + column / 2, y + 14, anchor="middle", size=theme.SMALL, weight=weight)
            shade: dict[str, Attribute] = {
                "class_": "heat",
                "fill": theme.HEAT,
                "fill_opacity": _shade(100 * value, *span),
            }
        else:
            why = row.reasons[at] if row.reasons else "no value"
            words = f"{row.category}, {method}: {why}"
            inner = text("–", x + column / 2, y + 14, anchor="middle", size=theme.SMALL, kind="soft")
            shade = {"class_": "blank", "fill": theme.GRID, "fill_opacity": 0.5}
        box = tag("rect", x=x + 0.75, y=y + 0.75, width=column - 1.5, height=ROW - 1.5, rx=2, **shade)
        parts.append(group([tip(words), box, inner]))
    return "".join(parts)


def _shade(value: float, low: float, high: float) -> float:
    # Squared: the differences that matter lie near the top.
    share = (value - low) / (high - low) if high > low else 0.5
    return 0.05 + (_DEEPEST - 0.05) * share**2


def _key(low: float, high: float, x: float, y: float) -> str:
    """Legend of the shades with their numbers."""
    parts = [text(f"{low:.0f}", x - 6, y + 10, anchor="end", size=theme.SMALL, kind="soft")]
    for at in range(12):
        value = low + (high - low) * at / 11
        shade = _shade(value, low, high)
        parts.append(
            tag(
                "rect",
                x=x + 10 * at,
                y=y,
                width=10,
                height=12,
                class_="heat",
                fill=theme.HEAT,
                fill_opacity=shade,
            )
        )
    parts.append(text(f"{high:.0f}", x + 126, y + 10, size=theme.SMALL, kind="soft"))
    return group(parts)


def _description(methods: Sequence[str], rows: Sequence[HeatRow], metric: str) -> str:
    told = []
    for row in rows:
        found = [
            (value, name) for value, name in zip(row.values, methods, strict=True) if math.isfinite(value)
        ]
        if found:
            value, name = max(found)
            told.append(f"{row.category} {name} {100 * value:.1f} %")
    return (
        f"{metric} of {len(methods)} methods on {len(rows)} classes. Best of each class: "
        + "; ".join(told)
        + "."
    )
