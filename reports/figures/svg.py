"""SVG as text: elements, numbers, and the document around a figure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from ltbench.reports.figures.theme import CLASS, FONTS, PAPER, STYLE

Attribute = str | float | int | None
LONGEST_DESCRIPTION = 200


def number(value: float) -> str:
    """Number as text, rounded to 0.1 pixel, below 1 to 0.01 (opacity); no trailing zeros."""
    text = f"{value:.{1 if abs(value) >= 1 else 2}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def tag(name: str, *children: str, **attributes: Attribute) -> str:
    """One element; children are finished SVG (escape texts first), `stroke_width` is `stroke-width`.

    A trailing underscore is dropped (`class_`), None leaves the attribute out.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        text = value if isinstance(value, str) else number(value)
        parts.append(f"{key.rstrip('_').replace('_', '-')}={quoteattr(text)}")
    opening = " ".join(parts)
    content = "".join(children)
    return f"<{opening}>{content}</{name}>" if content else f"<{opening}/>"


def text(
    words: str,
    x: float,
    y: float,
    *,
    anchor: str = "start",
    size: float | None = None,
    kind: str | None = None,
    turn: float = 0.0,
    weight: int | None = None,
    is_over: bool = False,
) -> str:
    """A line of text whose baseline starts (ends, is centred) at (x, y); `turn` in degrees clockwise.

    Text `is_over` other marks has a rim in the paper's colour.
    """
    rim: dict[str, Attribute] = {}
    if is_over:
        rim = {"paint_order": "stroke", "stroke": PAPER, "stroke_width": 3.0, "stroke_linejoin": "round"}
        kind = f"{kind} over" if kind else "over"
    return tag(
        "text",
        escape(words),
        x=x,
        y=y,
        text_anchor=None if anchor == "start" else anchor,
        font_size=size,
        font_weight=weight,
        class_=kind,
        transform=f"rotate({number(turn)} {number(x)} {number(y)})" if turn else None,
        **rim,
    )


def tip(words: str) -> str:
    """Tooltip for the element that contains it."""
    return tag("title", escape(words))


def group(parts: Iterable[str], **attributes: Attribute) -> str:
    return tag("g", *parts, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, kind: str, *children: str, **more: Attribute) -> str:
    return tag("line", *children, x1=x1, y1=y1, x2=x2, y2=y2, class_=kind, **more)


def path(points: Iterable[tuple[float, float]], kind: str, *children: str, **more: Attribute) -> str:
    """A polyline through the points."""
    steps = " ".join(f"{'L' if at else 'M'}{number(x)} {number(y)}" for at, (x, y) in enumerate(points))
    return tag("path", *children, d=steps, class_=kind, **more)


def short(words: str) -> str:
    """Description for screen readers, cut at LONGEST_DESCRIPTION: the tables hold the rest."""
    cut = words[:LONGEST_DESCRIPTION].rpartition(" ")[0]
    return words if len(words) <= LONGEST_DESCRIPTION else f"{cut} ..."


def document(width: float, height: float, title: str, description: str, body: Iterable[str]) -> str:
    """A whole figure: the same text serves inside a page and as a file of its own.

    It has a name and a description for screen readers, its own colours for light and dark, and a paper behind
    it only where it is the whole document.
    """
    content = "".join(body)
    # Identifiers must differ between figures of one page and be the same in every build.
    key = hashlib.sha256(f"{title}{description}{content}".encode()).hexdigest()[:10]
    return tag(
        "svg",
        tag("title", escape(title), id=f"t{key}"),
        tag("desc", escape(short(description)), id=f"d{key}"),
        tag("style", STYLE),
        tag("rect", class_="paper", width=width, height=height, fill="none"),
        content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"t{key} d{key}",
        class_=CLASS,
        font_family=FONTS,
        font_size=12.5,
        fill="#16191d",
    )
