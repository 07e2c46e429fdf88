"""Pages of the site: modules with a `PAGE` in this folder, in installed packages or in the user's folder."""

from __future__ import annotations

from ltbench.registry import Registry
from ltbench.reports.page import Page

PAGES = Registry("page", __name__, group="pages", attribute="PAGE")


def pages() -> list[Page]:
    """All pages of the folder by order."""
    pages: list[Page] = [PAGES.load(name) for name in PAGES.names()]
    return sorted(pages, key=lambda page: (page.order, page.name))
