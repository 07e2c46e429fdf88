"""Colours, marks and text sizes of all figures: legible in light and dark, in print, and for colour-blind
readers."""

from __future__ import annotations

CLASS = "lt-figure"
"""CSS class of every figure's root element."""
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
WIDTH = 480.0
"""Pixels of a figure: one column of a page. On a telephone of 360 px the smallest text is 9 px high."""
SIZE = 12.5
SMALL = 12.0
TITLE = 14.0

LIGHT = ("#0072b2", "#c24000", "#009a70", "#a0458a", "#bd8900", "#3499d1", "#6b6f76", "#5a5200")
"""Okabe and Ito's hues (2008), with a contrast of 3:1 on white and further apart for colour-blind readers."""
DARK = ("#3f9ee0", "#f07b3f", "#27b88c", "#d98fc0", "#f2cb5a", "#a5dafa", "#b4b9c0", "#8f8420")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "5 2 1 2 1 2", "12 4", "1 2", "4 4")
MARKS = ("circle", "square", "up", "diamond", "down", "cross", "plus", "ring")

# Roles: what a colour means is the same in every figure.
HEAD, TAIL, DEFECT, GOOD = 0, 4, 1, 0

_LIGHT = {"ink": "#16191d", "soft": "#4d5661", "line": "#dfe2e6", "strong": "#9aa3ad", "paper": "#ffffff"}
_DARK = {"ink": "#e8eaed", "soft": "#b4bcc6", "line": "#2d333b", "strong": "#5c6773", "paper": "#14171b"}
_PAGE = {"ink": "--ink", "soft": "--soft", "line": "--line", "strong": "--strong-line", "paper": "--paper"}


def _variables(plain: dict[str, str], series: tuple[str, ...], heat: str) -> str:
    # A page's own colours win, so that a theme chosen there holds in its figures.
    told = [f"--f-{name}:var({_PAGE[name]},{colour})" for name, colour in plain.items()]
    told += [f"--f-{at}:{colour}" for at, colour in enumerate(series)]
    return ";".join([*told, f"--f-heat:{heat}"])


def _style() -> str:
    root = f"svg.{CLASS}"
    light, dark = _variables(_LIGHT, LIGHT, "#2f8fd0"), _variables(_DARK, DARK, "#2d7fbd")
    rules = [
        f"{root}{{{light};max-width:100%;height:auto}}",
        f"@media(prefers-color-scheme:dark){{{root}:root,:root:not([data-theme=light]) {root}{{{dark}}}}}",
        f":root[data-theme=dark] {root}{{{dark}}}",
        f"{root}:root>.paper{{fill:var(--f-paper)}}",
        f"{root} text{{fill:var(--f-ink)}}",
        f"{root} .soft{{fill:var(--f-soft)}}",
        f"{root} .grid{{stroke:var(--f-line)}}",
        f"{root} .axis{{stroke:var(--f-strong)}}",
        f"{root} .inkline{{stroke:var(--f-ink)}}",
        f"{root} .halo{{stroke:var(--f-paper)}}",
        f"{root} .over{{stroke:var(--f-paper)}}",
        f"{root} .heat{{fill:var(--f-heat)}}",
        f"{root} .blank{{fill:var(--f-line)}}",
    ]
    for at in range(len(LIGHT)):
        rules += [f"{root} .fill{at}{{fill:var(--f-{at})}}", f"{root} .line{at}{{stroke:var(--f-{at})}}"]
    # Programs that draw files but know no variables skip the block and keep the elements' own attributes.
    return f"@supports(color:var(--f)){{{''.join(rules)}}}"


STYLE = _style()
"""Style sheet inside every figure."""
INK, SOFT, GRID, AXIS = (_LIGHT[name] for name in ("ink", "soft", "line", "strong"))
HEAT = "#2f8fd0"
PAPER = _LIGHT["paper"]


def colour(series: int) -> str:
    """The light colour of a series, for programs that do not read style sheets."""
    return LIGHT[series % len(LIGHT)]


def look(series: int) -> int:
    """Index into MARKS and DASHES for a series; series of one colour have different ones."""
    return (series + 3 * (series // len(LIGHT))) % len(MARKS)


# Advance widths of a common sans serif in thousandths of the text size, for code points 32 to 126.
_ADVANCES = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 "
    "556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 "
    "667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 "
    "556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584 "
)
_WIDTHS = tuple(int(width) / 1000 for width in _ADVANCES.split())
_WIDER, _BOLDER = 1.13, 1.12
"""Factors on text widths, regular and bold, for the widest font that a browser may choose."""


def text_width(words: str, size: float = SIZE, *, is_bold: bool = False) -> float:
    """Approximate upper bound on the width of a line of text, in pixels."""
    size *= _BOLDER if is_bold else 1.0
    advances = (_WIDTHS[ord(sign) - 32] if 32 <= ord(sign) < 127 else 0.6 for sign in words)
    return size * _WIDER * sum(advances)


def shortened(words: str, room: float, size: float = SIZE, *, is_bold: bool = False) -> str:
    """The text, or what fits of its beginning and end into `room` pixels, with an ellipsis between them.

    Variants of one method differ at their end: "PatchCore (…ratio=0.1)".
    """
    if text_width(words, size, is_bold=is_bold) <= room + 0.5:
        return words
    for kept in range(len(words) - 1, 0, -1):
        head = (3 * kept + 4) // 5
        cut = f"{words[:head].rstrip()}…{words[len(words) - (kept - head) :]}"
        if text_width(cut, size, is_bold=is_bold) <= room:
            return cut
    return "…"
