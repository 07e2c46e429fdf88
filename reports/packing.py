"""Parts of a page kept small: numbers apart from text, compressed, unfolded by `static/unpack.js`.

A site of a thousand tables would be most of a hundred megabytes of mark-up that repeats itself. The main
tables are always plain mark-up; other parts of a large site are packed, so that it stays under five megabytes
and still opens from a disk or a zip without a server.
"""

from __future__ import annotations

import base64
import json
import lzma
import re
from typing import Any

import numpy as np
from markupsafe import Markup

COMPACT_ROWS = 40_000
"""A results folder with more values than this makes a site whose secondary parts are packed."""

# Two characters of base 85 (as `base64.b85encode` has it) mean something in mark-up; these do not.
_TO_ATTRIBUTE = str.maketrans("&<>", ",/.")
_FROM_ATTRIBUTE = str.maketrans(",/.", "&<>")


# What `static/unpack.js` reads; a third smaller than gzip, which is all that browsers bring.
_FILTERS = [{"id": lzma.FILTER_LZMA1, "preset": 9, "lc": 3, "lp": 0, "pb": 0}]

# Numbers that stand apart from the text, by kind: spreads, other hundredths, tenths, whole numbers. Two
# bytes are shorter than four digits, and the text between them repeats itself.
_NUMBER = re.compile(
    r"(?<=<i>)(\d{1,3}\.\d\d)(?![\d.])"
    r"|(?<![\d.])(\d{1,3}\.\d\d)(?![\d.])"
    r"|(?<![\d.])(\d{1,4}\.\d)(?![\d.])"
    r"|(?<![\d.\w#-])(-?[1-9]\d{1,3})(?![\d.\w])"
)
_KINDS = range(1, 5)
_PLACES = "".join(map(chr, _KINDS))
"""Characters that stand in the text for a number of each kind: control characters, which no page has."""


def details_unit(is_compact: bool) -> int:
    """In hundredths of a point: how exactly a page knows what stands behind its numbers."""
    return 10 if is_compact else 1


def packed(html: str) -> Markup:
    """An element that the page's script replaces by `html`; without scripts it says where the numbers are."""
    folded = base64.b85encode(lzma.compress(_apart(html), lzma.FORMAT_RAW, filters=_FILTERS)).decode()
    return Markup(
        '<div data-packed="{}"><noscript><p class="notice">Packed: needs JavaScript. Its numbers are in '
        'the <a href="data.html">data</a>.</p></noscript></div>'
    ).format(Markup(folded.translate(_TO_ATTRIBUTE)))


def unpacked(folded: str) -> str:
    """What `packed` was given, from the value of data-packed."""
    content = base64.b85decode(folded.translate(_FROM_ATTRIBUTE))
    return _together(lzma.decompress(content, lzma.FORMAT_RAW, filters=_FILTERS))


def _apart(html: str) -> bytes:
    """How many numbers of each kind, of each kind all low and all high bytes; the text with their places."""
    numbers: dict[int, list[int]] = {kind: [] for kind in _KINDS}

    def place(match: re.Match[str]) -> str:
        kind = match.lastindex or 0
        number = int(match[0].replace(".", ""))
        # Signs go to the lowest bit; what would not come back as it was written stays.
        code = 2 * abs(number) + (number < 0) if kind == _KINDS[-1] else number
        if code > 0xFFFF or _written(kind, code) != match[0]:
            return match[0]
        numbers[kind].append(code)
        return chr(kind)

    text = html if any(character in html for character in _PLACES) else _NUMBER.sub(place, html)
    counts = " ".join(str(len(numbers[kind])) for kind in _KINDS)
    codes = (np.array(numbers[kind], "<u2") for kind in _KINDS)
    planes = (half.astype(np.uint8).tobytes() for code in codes for half in (code & 0xFF, code >> 8))
    return b"".join([f"{counts}\n".encode(), *planes, text.encode()])


def _together(content: bytes) -> str:
    counts, _, rest = content.partition(b"\n")
    found = {}
    for kind, count in zip(_KINDS, map(int, counts.split()), strict=True):
        low, high, rest = rest[:count], rest[count : 2 * count], rest[2 * count :]
        found[chr(kind)] = iter([_written(kind, a + 256 * b) for a, b in zip(low, high, strict=True)])
    # A text that has such characters of its own has no numbers apart.
    return re.sub(f"[{_PLACES}]", lambda match: next(found[match[0]], match[0]), rest.decode())


def _written(kind: int, code: int) -> str:
    if kind == _KINDS[-1]:
        return str(-(code >> 1) if code & 1 else code >> 1)
    return f"{code / 10:.1f}" if kind == _KINDS[-2] else f"{code / 100:.2f}"


def script_data(identifier: str, facts: Any) -> Markup:
    """Facts for the page's scripts as JSON in an element that nothing runs."""
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # "</script>" and "<!--" would end the element.
    return Markup('<script type="application/json" id="{}">{}</script>').format(
        identifier, Markup(text.replace("<", "\\u003c"))
    )
