"""Parts of a page kept small: compressed by gzip, written as text, unfolded by `static/unpack.js`.

A site of a thousand tables would be most of a hundred megabytes of mark-up that repeats itself. The main
tables are always plain mark-up; other parts of a large site are packed, so that it stays under five megabytes
and still opens from a disk or a zip without a server.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from markupsafe import Markup

COMPACT_ROWS = 40_000
"""A results folder with more values than this makes a site whose secondary parts are packed."""

# Two characters of base 85 (as `base64.b85encode` has it) mean something in mark-up; these do not.
_TO_ATTRIBUTE = str.maketrans("&<>", ",/.")
_FROM_ATTRIBUTE = str.maketrans(",/.", "&<>")


def packed(html: str) -> Markup:
    """An element that the page's script replaces by `html`; without scripts it says where the numbers are."""
    folded = base64.b85encode(gzip.compress(html.encode(), compresslevel=9, mtime=0)).decode()
    return Markup(
        '<div data-packed="{}"><noscript><p class="notice">This part is packed and needs JavaScript. '
        'Its numbers are in the files of the page <a href="data.html">Data</a>.</p></noscript></div>'
    ).format(Markup(folded.translate(_TO_ATTRIBUTE)))


def unpacked(folded: str) -> str:
    """What `packed` was given, from the value of data-packed."""
    return gzip.decompress(base64.b85decode(folded.translate(_FROM_ATTRIBUTE))).decode()


def script_data(identifier: str, facts: Any) -> Markup:
    """Facts for the page's scripts as JSON in an element that nothing runs."""
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # "</script>" and "<!--" would end the element.
    return Markup('<script type="application/json" id="{}">{}</script>').format(
        identifier, Markup(text.replace("<", "\\u003c"))
    )
