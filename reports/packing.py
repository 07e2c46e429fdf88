"""Secondary parts of pages kept small: numbers apart from text, compressed, unfolded by `static/unpack.js`.

A site of a thousand table rows would be most of a hundred megabytes of mark-up that repeats itself. The main
tables are always plain mark-up; other parts are packed, so that such a site takes five megabytes and still
opens from a disk or a zip without a server.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

import numpy as np
from markupsafe import Markup

LEAST_LENGTH = 1024
"""Shorter parts stay as they are."""
# Decimals and whole numbers below 65,536 hundredths, tenths or units, as `toFixed` writes them. Two bytes are
# shorter than four digits, and the text between them repeats itself.
_NUMBER = re.compile(
    r"(?<![\d.])(?:(?:0|[1-9]\d?|[1-5]\d\d)\.\d\d|(?:0|[1-9]\d{0,2})\.\d)(?![\d.])"
    r"|(?<![\d.\w#-])[1-9]\d{1,3}(?![\d.\w])"
)
_PLACE = re.compile(r"[\x01-\x03]")
"""Placeholders in the text for numbers of no, one or two decimals: control characters, which no page has.
Numbers of one kind lie together, since they are much alike."""


def packed(html: str) -> Markup:
    """Element that the page's script replaces by `html`; without scripts it links to the data page."""
    if len(html) < LEAST_LENGTH or _PLACE.search(html):
        return Markup(html)
    numbers = sorted(_NUMBER.findall(html), key=_decimals)
    text = _NUMBER.sub(lambda match: chr(1 + _decimals(match[0])), html)
    values = np.array([int(number.replace(".", "")) for number in numbers], dtype="<u2")
    # All low bytes, then all high bytes, which are much alike.
    parts = (text.encode(), values.view(np.uint8).reshape(-1, 2).T.tobytes())
    return Markup(
        '<div data-packed="{} {}"><noscript><p>Needs JavaScript: see <a href="data.html">data</a>.</p>'
        "</noscript></div>"
    ).format(*(base64.b64encode(zlib.compress(part, 9)).decode() for part in parts))


def unpacked(folded: str) -> str:
    """HTML that `packed` was given, restored from the value of the attribute data-packed."""
    text, numbers = (zlib.decompress(base64.b64decode(part)) for part in folded.split(" "))
    values = iter(np.frombuffer(numbers, np.uint8).reshape(2, -1).T.copy().view("<u2").ravel().tolist())
    html = text.decode()
    kinds = [
        iter([f"{next(values) / 10**decimals:.{decimals}f}" for _ in range(html.count(chr(1 + decimals)))])
        for decimals in range(3)
    ]
    return _PLACE.sub(lambda place: next(kinds[ord(place[0]) - 1]), html)


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])


def script_data(identifier: str, facts: Any) -> Markup:
    """Facts for the page's scripts as JSON in an element that nothing runs."""
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # "</script>" and "<!--" would end the element.
    return Markup('<script type="application/json" id="{}">{}</script>').format(
        identifier, Markup(text.replace("<", "\\u003c"))
    )
