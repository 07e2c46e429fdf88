"""Trends along a family of splits: more defects, more imbalance, fewer images."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench.reports.drawing import FIGURE_STYLE, inline
from ltbench.reports.families import families, family_figures
from ltbench.reports.page import File, Page, Site


def exists(site: Site) -> bool:
    """Whether two boards differ in one number."""
    return bool(families(site.sheets))


def build(site: Site) -> Iterable[File]:
    groups = [
        (family, [(name, inline(svg)) for name, svg in family_figures(family)])
        for family in families(site.sheets)
    ]
    yield site.page("trends.html", "trends", PAGE, groups=groups, figure_style=FIGURE_STYLE)


PAGE = Page("trends", "Trends", 1, build=build, exists=exists)
