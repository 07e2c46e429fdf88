"""Sizes of the training classes with their injected defects: the long tail and its contamination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import Area, heading, legend, nothing, square, x_axis
from ltbench.reports.figures.scale import Scale
from ltbench.reports.figures.svg import document, group, line, tag, text, tip

ROW = 19.0
RARE = frozenset({"tail", "low"})
"""Groups of few training images; all others are drawn as frequent."""


@dataclass(frozen=True)
class ClassSize:
    """Training images of one class."""

    name: str
    group: str
    """"head", "tail", "high", "low" or ""."""
    good: int
    defects: int

    @property
    def total(self) -> int:
        return self.good + self.defects


def class_sizes(
    classes: Sequence[ClassSize], *, title: str, subtitle: str = "", width: float = theme.WIDTH
) -> str:
    """Bars, largest class first; injected defects are stacked behind the good images and counted in words."""
    rows = sorted(classes, key=lambda row: (-row.total, row.name))
    if not rows:
        return nothing(title, subtitle, width)
    top, y = heading(title, subtitle, width)
    keys, y = legend(_legend(rows), 4, y - 4, width - 4)
    left = 10 + min(130.0, max(theme.text_width(row.name, theme.SMALL) for row in rows))
    counted = max(theme.text_width(_count(row), theme.SMALL) for row in rows)
    brackets = 22.0 if any(row.group for row in rows) else 0.0
    area = Area(left, y + 4, width - counted - brackets - 8, y + 4 + ROW * len(rows))
    most = rows[0].total or 1
    scale = Scale(0, most, area.left, area.right)
    body = [top, keys, x_axis(area, scale, "training images", at=[t for t in scale.ticks(4) if t == int(t)])]
    body += [_row(row, scale, area.top + ROW * at, left) for at, row in enumerate(rows)]
    body += _brackets(rows, area.top, width - 16) if brackets else []
    return document(width, area.bottom + 42, title, _description(rows), body)


def _row(row: ClassSize, scale: Scale, y: float, left: float) -> str:
    kind = theme.TAIL if row.group in RARE else theme.HEAD
    start, middle, end = scale(0), scale(row.good), scale(row.total)
    name = theme.shortened(row.name, left - 10, theme.SMALL)
    parts = [
        tip(f"{row.name}{f' ({row.group})' if row.group else ''}: {row.good} good, {row.defects} defective"),
        text(name, left - 7, y + 14, anchor="end", size=theme.SMALL),
        # A bar of nothing still has a line to stand on.
        tag("rect", x=start, y=y + 4, width=max(middle - start, 1), height=ROW - 7, class_=f"fill{kind}",
            fill=theme.colour(kind)),
    ]  # fmt: skip
    if row.defects:
        parts.append(
            tag("rect", x=middle, y=y + 4, width=max(end - middle, 2), height=ROW - 7,
                class_=f"fill{theme.DEFECT}", fill=theme.colour(theme.DEFECT))
        )  # fmt: skip
        end = max(end, middle + 2)
    parts.append(text(_count(row), end + 5, y + 14, size=theme.SMALL, kind="soft"))
    return group(parts)


def _count(row: ClassSize) -> str:
    return f"{row.good:,} + {row.defects:,}" if row.defects else f"{row.good:,}"


def _brackets(rows: Sequence[ClassSize], top: float, x: float) -> list[str]:
    """A line beside neighbours of one group with the group's name, where there is room for it."""
    parts, at = list[str](), 0
    for name, members in groupby(rows, key=lambda row: row.group):
        count = len(list(members))
        first, last = top + ROW * at + 4, top + ROW * (at + count) - 4
        at += count
        if name:
            parts.append(line(x, first, x, last, "axis", stroke=theme.AXIS, stroke_width=1.5))
        if name and last - first > theme.text_width(name, theme.SMALL) - 8:
            parts.append(
                text(name, x + 5, (first + last) / 2, anchor="middle", size=theme.SMALL, turn=90, kind="soft")
            )
    return parts


def _legend(rows: Sequence[ClassSize]) -> list[tuple[str, str]]:
    rare = sorted({row.group for row in rows if row.group in RARE})
    others = sorted({row.group for row in rows if row.group not in RARE} - {""})
    frequent = f"good images ({', '.join(others)})" if others else "good images"
    found = [(square(f"fill{theme.HEAD}", theme.colour(theme.HEAD)), frequent)]
    if rare:
        words = f"good images ({', '.join(rare)})"
        found.append((square(f"fill{theme.TAIL}", theme.colour(theme.TAIL)), words))
    if any(row.defects for row in rows):
        found.append((square(f"fill{theme.DEFECT}", theme.colour(theme.DEFECT)), "+ unlabelled defects"))
    return found


def _description(rows: Sequence[ClassSize]) -> str:
    if not rows:
        return "No class has training images."
    defects, total = sum(row.defects for row in rows), sum(row.total for row in rows)
    return (
        f"{len(rows)} classes have between {rows[-1].total} and {rows[0].total} training images; "
        f"{defects} of all {total} are unlabelled defects."
    )
