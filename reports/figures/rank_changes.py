"""Changes in the order of methods between two splits, e.g. from clean to contaminated training data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import heading, mark, nothing, stroke
from ltbench.reports.figures.svg import document, group, path, text, tip

ROW = 24.0
Ends = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Change:
    """A method's number on both splits; fractions."""

    method: str
    before: float
    after: float


def rank_changes(
    changes: Sequence[Change],
    *,
    title: str,
    names: tuple[str, str] = ("clean", "contaminated"),
    subtitle: str = "",
    order: Sequence[str] = (),
    width: float = theme.WIDTH,
) -> str:
    """A line a method from its rank on the left split to that on the right one, with both numbers in percent.

    Lines of methods that change their place are strong, those of the others are faint. Equal numbers have
    places in the order of the names. Methods without one of the numbers are left out.
    """
    told = [change for change in changes if math.isfinite(change.before) and math.isfinite(change.after)]
    series = list(dict.fromkeys([*order, *(change.method for change in told)]))
    left = _places({change.method: change.before for change in told})
    right = _places({change.method: change.after for change in told})
    if not told:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    label = min(130.0, max(theme.text_width(change.method, theme.SMALL) for change in told))
    # The heads of both sides begin where the lines end.
    label = max(label, *(theme.text_width(name, is_bold=True) - 58 for name in names))
    start, end, first = label + 82, width - label - 62, y + 40
    body = [
        top,
        text(names[0], start, y + 14, anchor="end", weight=600),
        text(names[1], end, y + 14, weight=600),
    ]
    # Faint lines first: the strong ones stay whole.
    for change in sorted(told, key=lambda change: left[change.method] != right[change.method]):
        places = left[change.method], right[change.method]
        ends = (start, first + ROW * places[0]), (end, first + ROW * places[1])
        words = (
            f"{change.method}: rank {places[0] + 1} ({100 * change.before:.1f}) on {names[0]}, "
            f"rank {places[1] + 1} ({100 * change.after:.1f}) on {names[1]}"
        )
        drawn = _line(series.index(change.method), ends, has_moved=places[0] != places[1])
        name = theme.shortened(change.method, label + 1, theme.SMALL)
        body.append(group([tip(words), drawn, *_words(name, change, ends)]))
    ranks = range(len(told))
    body += [text(str(at + 1), 4, first + ROW * at + 4, size=theme.SMALL, kind="soft") for at in ranks]
    height = first + ROW * max(len(told) - 1, 0) + 18
    return document(width, height, title, _description(told, left, right, names), body)


def _places(values: dict[str, float]) -> dict[str, int]:
    ordered = sorted(values, key=lambda name: (-values[name], name))
    return {name: place for place, name in enumerate(ordered)}


def _line(series: int, ends: Ends, *, has_moved: bool) -> str:
    kind = f"line{series % len(theme.LIGHT)}"
    drawn = path(ends, kind, **stroke(series, 2.4 if has_moved else 1.6))
    marks = [mark(series, x, y, radius=4.2) for x, y in ends]
    return group([drawn, *marks], opacity=None if has_moved else 0.5)


def _words(name: str, change: Change, ends: Ends) -> list[str]:
    """Labels at both ends: the number next to the line, the name outside of it."""
    parts = []
    for (x, y), value, side in zip(ends, (change.before, change.after), (-1, 1), strict=True):
        anchor = "end" if side < 0 else "start"
        number = f"{100 * value:.1f}"
        parts.append(text(number, x + 11 * side, y + 4, anchor=anchor, size=theme.SMALL, kind="soft"))
        parts.append(text(name, x + 45 * side, y + 4, anchor=anchor, size=theme.SMALL))
    return parts


def _description(
    changes: Sequence[Change], left: dict[str, int], right: dict[str, int], names: tuple[str, str]
) -> str:
    told = [f"{c.method} from rank {left[c.method] + 1} to {right[c.method] + 1}" for c in changes]
    return f"From {names[0]} to {names[1]}: " + "; ".join(told) + "."
