"""The papers' tables in their own shapes, with every number that was measured here beside the printed one."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench.reports.comparison import CLOSE, NEAR
from ltbench.reports.page import File, Page, Site
from ltbench.reports.papers import measurements, paper_tables
from ltbench.results.published.papers import PAPERS


def build(site: Site) -> Iterable[File]:
    measured = measurements(site.sheets)
    papers = [(paper, list(paper_tables(name, site.sheets, measured))) for name, paper in PAPERS.items()]
    verdicts = [pair.verdict for _, found in papers for one in found for pair in one.deltas]
    yield site.page(
        "papers.html",
        "papers",
        PAGE,
        papers=papers,
        counts=[(name, verdicts.count(name)) for name in ("equal", "near", "differs")],
        close=CLOSE,
        near=NEAR,
    )


PAGE = Page("papers", "Papers", 3, build=build)
