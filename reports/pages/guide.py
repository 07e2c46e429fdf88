"""Guide to the tables: how to read them, and the limits of their numbers."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench.reports.page import File, Page, Site


def build(site: Site) -> Iterable[File]:
    yield site.page("guide.html", "guide", PAGE)


PAGE = Page("guide", "How to read", 6, build=build)
