"""Titles, axes, marks and legends: the parts that every figure is put together from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ltbench.reports.figures import theme
from ltbench.reports.figures.labels import spread
from ltbench.reports.figures.scale import Scale, plain
from ltbench.reports.figures.svg import document, group, line, number, tag, text

LINE_HEIGHT = 17.0
_CORNERS = {
    "square": ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)),
    "up": ((0, -1.15), (1.1, 0.8), (-1.1, 0.8)),
    "down": ((0, 1.15), (1.1, -0.8), (-1.1, -0.8)),
    "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
}


@dataclass(frozen=True)
class Area:
    """The rectangle that data is drawn in, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def heading(title: str, subtitle: str, width: float) -> tuple[str, float]:
    """Title and the softer lines below it; also how far down they reach. Long ones are broken."""
    parts, y = list[str](), 4.0
    for words in broken(title, width - 8, theme.TITLE, is_bold=True):
        y += 15.0
        parts.append(text(words, 4, y, size=theme.TITLE, weight=600))
    for words in broken(subtitle, width - 8, theme.SMALL) if subtitle else ():
        y += 16.0
        parts.append(text(words, 4, y, size=theme.SMALL, kind="soft"))
    return "".join(parts), y + 8


def nothing(title: str, subtitle: str, width: float) -> str:
    """Figure without data, with a sentence that explains it."""
    top, y = heading(title, subtitle, width)
    words = "There are no values to draw."
    return document(width, y + 34, title, words, [top, text(words, 4, y + 12, size=theme.SMALL, kind="soft")])


def broken(words: str, room: float, size: float, *, is_bold: bool = False) -> list[str]:
    """The text in lines of at most `room` pixels, broken at spaces."""
    lines = list[str]()
    for word in words.split():
        if lines and theme.text_width(f"{lines[-1]} {word}", size, is_bold=is_bold) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def x_axis(
    area: Area,
    scale: Scale,
    label: str,
    *,
    at: Sequence[float] | None = None,
    words: Callable[[float], str] = plain,
    has_grid: bool = True,
) -> str:
    """Ticks below the area and the label below them; tick texts that would touch are left out."""
    parts, end = list[str](), -math.inf
    for tick in scale.ticks(max(3, int(area.width / 70))) if at is None else at:
        x, written = scale(tick), words(tick)
        if has_grid:
            parts.append(line(x, area.top, x, area.bottom, "grid", stroke=theme.GRID))
        half = theme.text_width(written, theme.SMALL) / 2
        if x - half > end + 4:
            parts.append(text(written, x, area.bottom + 16, anchor="middle", size=theme.SMALL, kind="soft"))
            end = x + half
    parts.append(line(area.left, area.bottom, area.right, area.bottom, "axis", stroke=theme.AXIS))
    parts.append(text(label, (area.left + area.right) / 2, area.bottom + 34, anchor="middle"))
    return group(parts)


def y_axis(
    area: Area,
    scale: Scale,
    label: str,
    *,
    at: Sequence[float] | None = None,
    words: Callable[[float], str] = plain,
) -> str:
    """Ticks left of the area with lines across it; the label stands above the axis, where it is read
    level."""
    parts = []
    for tick in scale.ticks(max(3, int(area.height / 45))) if at is None else at:
        y = scale(tick)
        parts.append(line(area.left, y, area.right, y, "grid", stroke=theme.GRID))
        parts.append(text(words(tick), area.left - 6, y + 4, anchor="end", size=theme.SMALL, kind="soft"))
    parts.append(text(label, 4, area.top - 9))
    return group(parts)


def mark(series: int, x: float, y: float, *children: str, radius: float = 3.6) -> str:
    """Point of a series, which shape and colour both identify."""
    shape = theme.MARKS[theme.look(series)]
    kind, fill = f"fill{series % len(theme.LIGHT)}", theme.colour(series)
    if shape == "circle":
        return tag("circle", *children, cx=x, cy=y, r=radius, class_=kind, fill=fill)
    if shape not in _CORNERS:
        return _outlined(series, x, y, children, radius)
    corners = [(radius * across, radius * down) for across, down in _CORNERS[shape]]
    return tag("path", *children, d=f"{_strokes(x, y, corners, 'l')}z", class_=kind, fill=fill)


def _strokes(x: float, y: float, ends: Sequence[tuple[float, float]], steps: str) -> str:
    """A path around (x, y) from end to end; `steps` are its commands in turn, "l" draws and "m" moves.

    Each step is relative: marks of one shape differ in where they begin alone, and pack well.
    """
    parts = [f"M{number(x + ends[0][0])} {number(y + ends[0][1])}"]
    for at, (here, there) in enumerate(pairwise(ends)):
        command = steps[at % len(steps)]
        parts.append(f"{command}{number(there[0] - here[0])} {number(there[1] - here[1])}")
    return "".join(parts)


def _outlined(series: int, x: float, y: float, children: Sequence[str], radius: float) -> str:
    shape = theme.MARKS[theme.look(series)]
    kind, colour = f"line{series % len(theme.LIGHT)}", theme.colour(series)
    if shape == "ring":
        ring = {"cx": x, "cy": y, "r": 0.9 * radius, "stroke_width": 1.8}
        return tag("circle", *children, class_=kind, fill="none", stroke=colour, **ring)
    reach = radius * (0.85 if shape == "cross" else 1.15)
    ends = ((-reach, -reach), (reach, reach), (-reach, reach), (reach, -reach))
    if shape == "plus":
        ends = ((-reach, 0), (reach, 0), (0, -reach), (0, reach))
    return tag(
        "path",
        *children,
        d=_strokes(x, y, ends, "lm"),
        class_=kind,
        fill="none",
        stroke=colour,
        stroke_width=2.0,
    )


def stroke(series: int, width: float = 2.0) -> dict[str, str | float | None]:
    """Attributes of a line of the series; dashes and colour both identify the series."""
    return {
        "stroke": theme.colour(series),
        "stroke_width": width,
        "stroke_dasharray": theme.DASHES[theme.look(series)] or None,
        "stroke_linejoin": "round",
        "fill": "none",
    }


def legend(entries: Sequence[tuple[str, str]], left: float, top: float, right: float) -> tuple[str, float]:
    """Rows of (swatch drawn around the origin, words) from `left` to `right`; also how far down they
    reach."""
    parts, x, y = list[str](), left, top + 12
    for swatch, words in entries:
        needed = 22 + theme.text_width(words, theme.SMALL) + 14
        if x > left and x + needed > right + 14:
            x, y = left, y + LINE_HEIGHT
        parts.append(group([swatch], transform=f"translate({number(x + 9)} {number(y - 4)})"))
        parts.append(text(words, x + 22, y, size=theme.SMALL))
        x += needed
    return group(parts), y + 8 if entries else top


def end_labels(ends: Sequence[tuple[int, str, float]], area: Area, room: float) -> str:
    """Mark and name of each (series, name, y of its line's last point), right of the area, none over
    another."""
    placed = spread([y for _, _, y in ends], 15, area.top + 4, area.bottom - 3)
    parts = []
    for (series, name, y), to in zip(ends, placed, strict=True):
        words = theme.shortened(name, room - 26, theme.SMALL)
        parts.append(line(area.right + 2, y, area.right + 9, to, "grid", stroke=theme.GRID))
        parts.append(mark(series, area.right + 15, to))
        parts.append(text(words, area.right + 24, to + 4, size=theme.SMALL))
    return group(parts)


def label_room(names: Iterable[str]) -> float:
    """Pixels right of an area that `end_labels` needs."""
    return 26 + min(110.0, max((theme.text_width(name, theme.SMALL) for name in names), default=0))


def swatch(series: int, *, has_line: bool = False, has_mark: bool = True) -> str:
    """A legend's sample of a series."""
    kind = f"line{series % len(theme.LIGHT)}"
    parts = [line(-9, 0, 9, 0, kind, **stroke(series))] if has_line else []
    return "".join([*parts, mark(series, 0, 0)] if has_mark else parts)


def square(kind: str, fill: str, **more: str | float | None) -> str:
    """A legend's sample of an area."""
    return tag("rect", x=-6, y=-6, width=12, height=12, rx=2, class_=kind, fill=fill, **more)
