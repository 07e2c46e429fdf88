"""Lint of the published tables: recomputes aggregates, checks bounds and argues contradictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ltbench.results.published.checks.ltad import check_ltad
from ltbench.results.published.checks.ltad_headers import check_headers
from ltbench.results.published.checks.meds import check_meds
from ltbench.results.published.checks.meds_bounds import check_meds_bounds
from ltbench.results.published.checks.tailedcore import check_tailedcore
from ltbench.results.published.checks.text import check_text
from ltbench.results.published.checks.twice import check_twice
from ltbench.results.published.finding import Check, Finding
from ltbench.results.published.papers import PAPERS

_CHECKS: tuple[Callable[[], list[Check]], ...] = (
    check_text,
    check_ltad,
    check_headers,
    check_tailedcore,
    check_meds,
    check_meds_bounds,
    check_twice,
)


@cache
def checks() -> tuple[Check, ...]:
    """All checks with their findings, paper by paper, including checks without findings."""
    done = [check for run in _CHECKS for check in run()]
    return tuple(check for paper in PAPERS for check in done if check.paper == paper)


def lint(paper: str | None = None) -> list[Finding]:
    """All findings, or those of one paper, ordered by paper, table and row."""
    findings = [one for check in checks() if paper in (None, check.paper) for one in check.findings]
    order = list(PAPERS)
    return sorted(findings, key=lambda one: (order.index(one.paper), one.table, one.row, one.what, one.where))
