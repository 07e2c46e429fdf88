"""The page "Slowest": the cells of the site by the time that their training took."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ltbench.reports.page import File, Page, Site


def build(site: Site) -> Iterable[File]:
    """One HTML file; the template lies beside this module."""
    cells = [cell.metrics().iloc[0] for cell in site.material.cells]
    rows = sorted(cells, key=lambda row: -row["fit_seconds"])
    yield site.page("slowest.html", "slowest", PAGE, rows=rows)


PAGE = Page("slowest", "Slowest", 90, build=build, templates=Path(__file__).parent)
