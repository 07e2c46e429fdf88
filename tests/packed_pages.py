"""Pages of the site as a browser has them after `static/unpack.js`."""

from __future__ import annotations

import re
from pathlib import Path

from ltbench.reports.packing import unpacked


def whole(page: Path) -> str:
    """The page's HTML with its packed parts in their places."""
    html = page.read_text(encoding="utf-8")
    return re.sub(
        r'<div data-packed="([^"]*)">.*?</div>', lambda found: unpacked(found[1]), html, flags=re.DOTALL
    )
