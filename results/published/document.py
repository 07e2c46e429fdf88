"""Markdown page of the lint's findings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from ltbench.results.published.finding import Check, Finding, Verdict
from ltbench.results.published.lint import checks, lint
from ltbench.results.published.papers import PAPERS

_INTRODUCTION = """\
# The published tables, checked

Written by `ltbench.results.published.document.document()`; a test compares this page with the lint's output.

`results/published/data/` holds every number that LTAD, TailedCore and MeDS print. The lint recomputes
every mean from its classes, compares every number with the bounds that follow from the test images, and
compares the tables with each other. This page lists the disagreements with their arguments. A doubtful
number has the flag `suspicious` in the data and is never changed. Only typographical errors that the
paper's own means prove, such as a lost decimal point or a stray space, are changed and flagged
`corrected`.

Verdicts:

- **misprint**: the correct number follows from the paper itself;
- **contradiction**: printed numbers exclude each other, and it is open which one is wrong;
- **doubtful**: possible only with an explanation that the paper does not give;
- **rounding**: one value, rounded in one place and truncated in the other; harmless;
- **garbled**: not a number in the extracted text of the PDF (perhaps an error of the extraction); the
  means prove the intended number.

Tolerance: a mean agrees if it is within one unit of its last digit, which is the largest effect of
rounding (half a unit in the mean, half a unit in the classes) or truncation.
"""


def document() -> str:
    """Render the page, ending with a newline."""
    parts = [_INTRODUCTION, _overview()]
    for paper in PAPERS.values():
        parts.append(f"## {paper.short}\n\n{paper.title} ({paper.venue}). Read from: {paper.source}.\n")
        parts += [_section(check) for check in checks() if check.paper == paper.name]
    return "\n".join(parts)


def _overview() -> str:
    """Table of the numbers of findings by paper and verdict."""
    verdicts = get_args(Verdict)
    lines = [f"| paper | comparisons | findings | {' | '.join(verdicts)} |", "|---" + "|---:" * 7 + "|"]
    for paper in PAPERS.values():
        compared = sum(check.compared for check in checks() if check.paper == paper.name)
        findings = lint(paper.name)
        per_verdict = [sum(finding.verdict == verdict for finding in findings) for verdict in verdicts]
        counts = " | ".join(str(count) for count in (compared, len(findings), *per_verdict))
        lines.append(f"| {paper.short} | {counts} |")
    return "\n".join(lines) + "\n"


def _section(check: Check) -> str:
    """Section of one check with its findings."""
    count = len(check.findings)
    if check.compared == 0:
        result = "Nothing to compare."
    elif count == 0:
        result = f"{check.compared} comparisons, all agree."
    else:
        result = f"{check.compared} comparisons, {count} finding{'s' if count > 1 else ''}."
    head = f"### {check.title}\n\nRule: {check.rule}. {result}\n"
    return head + ("\n" + _rows(check.findings) if check.findings else "")


def _rows(findings: Iterable[Finding]) -> str:
    """Table of findings."""
    lines = ["| table | row | where | printed | instead | verdict | why |", "|---:|---|---|---|---|---|---|"]
    for one in findings:
        texts = (str(one.table), one.row, one.where, one.printed, one.recomputed, one.verdict, one.argument)
        lines.append("| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |")
    return "\n".join(lines) + "\n"
