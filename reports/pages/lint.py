"""The published tables, checked: what does not add up in the papers, with the argument for each finding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from ltbench.reports.page import File, Page, Site
from ltbench.results.published.finding import Verdict
from ltbench.results.published.lint import checks, lint
from ltbench.results.published.papers import PAPERS
from ltbench.results.published.printed import cells

VERDICTS = {
    "misprint": "the paper itself tells what is right",
    "contradiction": "printed numbers exclude each other, and which one is wrong stays open",
    "doubtful": "possible, but only with an explanation that the paper does not give",
    "rounding": "one value, rounded in one place and cut off in the other; harmless",
    "garbled": "no clean number in the text that was read; the means prove what is meant",
}


def build(site: Site) -> Iterable[File]:
    papers = [
        (
            paper,
            len(cells(name)),
            sum(check.compared for check in checks() if check.paper == name),
            lint(name),
            [check for check in checks() if check.paper == name],
        )
        for name, paper in PAPERS.items()
    ]
    counts = [(name, sum(one.verdict == name for one in lint())) for name in get_args(Verdict)]
    yield site.page(
        "lint.html", "lint", PAGE, papers=papers, counts=counts, verdicts=VERDICTS, total=len(cells())
    )


PAGE = Page("lint", "Papers checked", 4, build=build)
