"""How to read the tables, and what the numbers do not say."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench.reports.page import File, Page, Site


def build(site: Site) -> Iterable[File]:
    yield site.page("guide.html", "guide", PAGE)


PAGE = Page("guide", "How to read", 6, build=build)
