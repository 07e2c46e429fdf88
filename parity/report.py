"""The published comparison: results/parity.csv, which the site shows, and docs/parity.md."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from ltbench.methods import catalog
from ltbench.results.parity import Stage, read_stages, write_stages
from parity import methods
from parity.case import Outcome

PAGE = Path(__file__).parents[1] / "docs" / "parity.md"

INTRODUCTION = """# ltbench beside the authors' code

Written by `make parity`; a test compares this page with `results/parity.csv` and with the methods' cards.

Each method that has public code was run beside it: the same weights by a map of names, the same inputs, the
same random draws. A difference is the largest absolute one, as a share of the largest absolute value; for
selected indices, labels and kept sets it is the share of entries that differ. Both sides ran on a CPU in
float32.

- **equal**: within the tolerance, at ltbench's defaults or at any setting.
- **equal with FIELD=VALUE**: within the tolerance where the field is set as the authors have it, as the
  papers' suites do; the difference at ltbench's default stands beside it.
- **declared deviation**: a difference that stays; the reason stands below the table and on the method's card.

To repeat it, clone the repositories at the commits named below into one folder, then run

```sh
LTBENCH_OFFICIAL=folder make parity
```

Without the folder each case says which commands make its clone. The authors' answers to the same inputs are
kept in `tests/golden`, so that every run of the tests compares ltbench with them where no clone is.
LTAD has no public code: `tests/test_ltad_equations.py` states the paper's equations once more as plain loops.
"""


def write_report(outcomes: Sequence[Outcome], *, whole: bool) -> None:
    """Replace the rows of the compared methods in the data file, then write the document from it.

    whole: all methods were compared, so that rows of methods that are gone go too.
    """
    compared = {outcome.case.method: None for outcome in outcomes}
    kept = [] if whole else [stage for stage in read_stages() if stage.method not in compared]
    stages = [*kept, *map(stage_of, outcomes)]
    order = methods.names()
    write_stages(tuple(sorted(stages, key=lambda stage: order.index(stage.method))))
    PAGE.write_text(document(read_stages()), encoding="utf-8")


def stage_of(outcome: Outcome) -> Stage:
    """The outcome of a case as a row of the data file."""
    case, default = outcome.case, outcome.default_difference
    return Stage(
        method=case.method,
        title=str(catalog.load_class(case.method).card.title),
        stage=case.stage,
        repository=case.repository.url,
        commit=case.repository.commit,
        licence=case.repository.licence,
        difference=_two_digits(outcome.difference),
        tolerance=float(case.tolerance),
        setting=case.setting,
        default_difference=None if default is None else _two_digits(default),
        verdict=outcome.verdict,
        reason=case.declared if outcome.verdict == "declared deviation" else "",
    )


def document(stages: Sequence[Stage]) -> str:
    """The page in Markdown: a table of all methods, then one section per method."""
    by_method = {name: list(rows) for name, rows in groupby(stages, key=lambda stage: stage.method)}
    summary = ["| method | stages | equal | with a field set | declared |", "|---|---:|---:|---:|---:|"]
    for name, rows in by_method.items():
        counts = [sum(row.verdict.startswith(kind) for row in rows) for kind in ("equal with", "declared")]
        equal = len(rows) - sum(counts)
        summary.append(f"| [{rows[0].title}](#{name}) | {len(rows)} | {equal} | {counts[0]} | {counts[1]} |")
    sections = [section(name, rows) for name, rows in by_method.items()]
    return "\n".join([INTRODUCTION, *summary, "", *sections])


def section(method: str, stages: Sequence[Stage]) -> str:
    """One method: its repositories, stages, reasons and all declared deviations of its card."""
    repositories = dict.fromkeys((stage.repository, stage.commit, stage.licence) for stage in stages)
    lines = [f'<a id="{method}"></a>', "", f"## {stages[0].title}", ""]
    lines += [
        f"- {url.removeprefix('https://')} at `{commit}`, licence: {licence}"
        for url, commit, licence in repositories
    ]
    with_field = any(stage.setting for stage in stages)
    several = len(repositories) > 1
    head = ["stage", *(["repository"] if several else []), "difference", "tolerance"]
    head += [*(["at ltbench's default"] if with_field else []), "verdict"]
    lines += ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for stage in stages:
        default = "" if stage.default_difference is None else f"{stage.default_difference:.1e}"
        cells = [stage.stage, *([stage.repository.rsplit("/", 1)[-1]] if several else [])]
        cells += [f"{stage.difference:.1e}", f"{stage.tolerance:.0e}", *([default] if with_field else [])]
        lines.append("| " + " | ".join([*cells, verdict(stage)]) + " |")
    reasons = [f"- {stage.stage}: {stage.reason}" for stage in stages if stage.reason]
    lines += ["", *reasons, *([""] if reasons else [])]
    deviations = catalog.load_class(method).card.deviations
    if deviations:
        lines += ["Deviations on the card:", "", *(f"- {text}" for text in deviations), ""]
    return "\n".join(lines)


def verdict(stage: Stage) -> str:
    """The verdict with its field in code letters."""
    return f"equal with `{stage.setting}`" if stage.verdict.startswith("equal with") else stage.verdict


def _two_digits(value: float) -> float:
    """Rounded, so that another processor's last bits do not change the data file."""
    return float(f"{value:.1e}")
