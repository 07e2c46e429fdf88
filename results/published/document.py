"""The lint's findings as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from ltbench.results.published.finding import Check, Finding, Verdict
from ltbench.results.published.lint import checks, lint
from ltbench.results.published.papers import PAPERS

_INTRODUCTION = """\
# The published tables, checked

Written by `ltbench.results.published.document.document()`; a test compares this page with the lint's output.

Every number that LTAD, TailedCore and MeDS print stands in `results/published/data/`. The lint
recomputes every mean from the classes beside it, holds every number against the bounds that the test
images set, and compares the tables with each other. What does not agree is listed here with the
argument. A number in doubt carries the flag `suspicious` in the data; it is never changed. Changed,
and flagged `corrected`, is only what the paper's own means prove to be a slip of the text: a lost
decimal point, a stray space.

Verdicts:

- **misprint**: the paper itself tells what is right;
- **contradiction**: printed numbers exclude each other, and which one is wrong stays open;
- **doubtful**: possible, but only with an explanation that the paper does not give;
- **rounding**: one value, rounded in one place and cut off in the other; harmless;
- **garbled**: no clean number in the text that we read (an extraction of the PDF, so the fault may lie
  there); the means prove what is meant.

Tolerance: a mean agrees if it is within one unit of its last digit. That is all that rounding (half a
unit in the mean, half a unit in the classes) or cutting off can cause.
"""


def document() -> str:
    """The whole page, ending with a newline."""
    parts = [_INTRODUCTION, _overview()]
    for paper in PAPERS.values():
        parts.append(f"## {paper.short}\n\n{paper.title} ({paper.venue}). Read from: {paper.source}.\n")
        parts += [_section(check) for check in checks() if check.paper == paper.name]
    return "\n".join(parts)


def _overview() -> str:
    verdicts = get_args(Verdict)
    lines = [f"| paper | comparisons | findings | {' | '.join(verdicts)} |", "|---" + "|---:" * 7 + "|"]
    for paper in PAPERS.values():
        compared = sum(check.compared for check in checks() if check.paper == paper.name)
        found = lint(paper.name)
        per_verdict = [sum(finding.verdict == verdict for finding in found) for verdict in verdicts]
        counts = " | ".join(str(count) for count in (compared, len(found), *per_verdict))
        lines.append(f"| {paper.short} | {counts} |")
    return "\n".join(lines) + "\n"


def _section(check: Check) -> str:
    found = len(check.findings)
    if check.compared == 0:
        result = "Nothing to compare."
    elif found == 0:
        result = f"{check.compared} comparisons, all agree."
    else:
        result = f"{check.compared} comparisons, {found} finding{'s' if found > 1 else ''}."
    head = f"### {check.title}\n\nRule: {check.rule}. {result}\n"
    return head + ("\n" + _rows(check.findings) if check.findings else "")


def _rows(findings: Iterable[Finding]) -> str:
    lines = ["| table | row | where | printed | instead | verdict | why |", "|---:|---|---|---|---|---|---|"]
    for one in findings:
        texts = (str(one.table), one.row, one.where, one.printed, one.recomputed, one.verdict, one.argument)
        lines.append("| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |")
    return "\n".join(lines) + "\n"
