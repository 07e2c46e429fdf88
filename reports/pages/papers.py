"""The papers' tables in their own shapes, with every number that was measured here beside the printed one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from ltbench.reports.comparison import CLOSE, NEAR
from ltbench.reports.page import File, Page, Site
from ltbench.reports.papers import PaperTable, measurements, paper_tables
from ltbench.results.published.papers import PAPERS

MEASURED_COLUMNS = (
    "paper", "table", "dataset", "split", "printed_method", "metric", "category", "printed", "measured",
    "delta", "verdict", "method", "config_digest", "board",
)  # fmt: skip
"""Columns of data/papers.csv; numbers are in percent."""


def build(site: Site) -> Iterable[File]:
    measured = measurements(site.sheets)
    papers = [(paper, list(paper_tables(name, site.sheets, measured))) for name, paper in PAPERS.items()]
    verdicts = [pair.verdict for _, found in papers for one in found for pair in one.deltas]
    rows = pd.DataFrame(
        [row for _, found in papers for one in found for row in _measured_rows(one)], columns=MEASURED_COLUMNS
    )
    yield File("data/papers.csv", rows.to_csv(index=False, float_format="%.5g", lineterminator="\n").encode())
    yield site.page(
        "papers.html",
        "papers",
        PAGE,
        papers=papers,
        counts=[(name, verdicts.count(name)) for name in ("equal", "near", "differs")],
        close=CLOSE,
        near=NEAR,
    )


def _measured_rows(table: PaperTable) -> Iterator[tuple[object, ...]]:
    for cell in (cell for row in table.rows for cell in row.cells if cell is not None):
        pair, here = cell.pair, cell.measured
        if here is not None and here.number.mean is not None:
            printed = pair.printed
            yield (
                printed.paper, printed.table, printed.dataset, printed.split, printed.printed_method,
                printed.metric, printed.category, printed.value, 100 * here.number.mean, pair.delta,
                pair.verdict, here.entry.method, here.entry.config_digest[:10], here.board,
            )  # fmt: skip


PAGE = Page("papers", "Papers", 3, build=build)
