"""The boards' aggregator, given the papers' classes, gives the papers' means."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import pytest

from ltbench.reports.aggregate import board
from ltbench.results.published import facts
from ltbench.results.published.printed import PublishedCell, cells, table

GROUPS = ("all", "high", "low")


def as_results(members: Iterable[PublishedCell], group_of: dict[str, str]) -> pd.DataFrame:
    """Rows as a run writes them: each printed row is a method of its own, so that none meets another."""
    return pd.DataFrame(
        {
            "dataset": cell.dataset, "split": cell.split, "seed": 0, "view": "", "data_digest": "",
            "split_digest": "", "method": f"{cell.table} {cell.printed_method}", "config_digest": "paper",
            "category": cell.category, "group": group_of.get(cell.category, ""), "metric": cell.metric,
            "recipe": "", "value": cell.fraction, "why": "", "status": "ok", "error": "",
        }
        for cell in members
    )  # fmt: skip


def recomputed(paper: str, first_table: int) -> tuple[pd.Series, list[PublishedCell]]:
    """Means by (data set, split, method, metric, group), and the printed ones to compare with."""
    chosen = [
        cell for cell in cells(paper) if cell.table >= first_table and cell.metric != "inspection_depth"
    ]
    found = []
    for dataset, split in sorted({(cell.dataset, cell.split) for cell in chosen}):
        groups = {}
        if paper == "ltad":
            groups = {
                name: group for group in ("high", "low") for name in facts.ltad_group(dataset, split, group)
            }
        here = [c for c in chosen if (c.dataset, c.split) == (dataset, split) and not c.aggregate]
        found.append(board(as_results(here, groups)))
    keys = ["dataset", "split", "method", "metric", "group"]
    return pd.concat(found).set_index(keys)["mean"], [c for c in chosen if c.category in GROUPS]


@pytest.mark.parametrize(("paper", "first_table", "count"), [("ltad", 10, 636), ("meds", 6, 618)])
def test_our_aggregator_gives_the_printed_means_except_where_flagged(
    paper: str, first_table: int, count: int
) -> None:
    means, printed = recomputed(paper, first_table)
    assert len(printed) == count
    differ = []
    for cell in printed:
        key = (cell.dataset, cell.split, f"{cell.table} {cell.printed_method}", cell.metric, cell.category)
        tolerance = 0.05 if paper == "ltad" else table(paper, cell.table).unit
        if abs(100 * means[key] - cell.value) > tolerance + 1e-9:
            differ.append(cell)
    assert [cell for cell in differ if not cell.suspicious] == []
    # The flags excuse few.
    assert len(differ) < count / 20
