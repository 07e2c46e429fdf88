"""Look-up of published numbers for comparison with measured ones."""

from __future__ import annotations

from functools import cache

from ltbench.results.published.printed import PublishedCell, cells, table

_Key = tuple[str, str, str, str, str]

# Equal training lists under two names: MeDS at ratio 0 trains on the official lists, and TailedCore's noise
# ablation at 10 % is its main release.
_SAME_SPLIT = {
    ("mvtec", "clean"): "meds_nr00",
    ("visa", "clean"): "meds_nr00",
    **{("mvtec", f"{name}_ablation_nr10"): name for name in ("pareto", "step_k4", "step_k1")},
}
_LAST = {"figure": 1, "ablation": 2}
"""Rank of the kinds of tables whose numbers are used only if no other table has them."""


def printed_split(dataset: str, split: str) -> str:
    """Name of a split in the papers' tables."""
    return _SAME_SPLIT.get((dataset, split), split)


def published(
    dataset: str, split: str, method: str, metric: str, group_or_category: str = "all"
) -> PublishedCell | None:
    """Look up a published number in constant time; None if no paper has it.

    If papers print a number more than once, tables precede figures and figures precede ablations; then
    numbers without doubts of the lint, with more decimals and of earlier tables are preferred.

    Args:
        dataset: Name of the data set.
        split: Name of the split.
        method: Printed name of the method, for a configuration from `variants.printed_as`.
        metric: Name of the metric.
        group_or_category: A category, or a group: "all"; LTAD's "high" and "low"; TailedCore's "head" and
            "tail".
    """
    return _index().get((dataset, printed_split(dataset, split), method, metric, group_or_category))


def column(dataset: str, split: str, metric: str, group_or_category: str = "all") -> dict[str, PublishedCell]:
    """Look up a column: all methods that a paper reports, by name, without rows of ablations.

    Args:
        dataset: Name of the data set.
        split: Name of the split.
        metric: Name of the metric.
        group_or_category: A category or group, see `published`.
    """
    return dict(_columns().get((dataset, printed_split(dataset, split), metric, group_or_category), {}))


def _is_ablation(cell: PublishedCell) -> bool:
    """Check whether a cell is from a table of ablations."""
    return table(cell.paper, cell.table).kind == "ablation"


def _preference(cell: PublishedCell) -> tuple[int, bool, int, int]:
    """Sort key of cells with the same quantity; the lowest is preferred."""
    origin = table(cell.paper, cell.table)
    return _LAST.get(origin.kind, 0), cell.suspicious, -origin.decimals, cell.table


@cache
def _index() -> dict[_Key, PublishedCell]:
    """Preferred cell by data set, split, method, metric and category."""
    best: dict[_Key, PublishedCell] = {}
    for cell in cells():
        key = (cell.dataset, cell.split, cell.method, cell.metric, cell.category)
        if key not in best or _preference(cell) < _preference(best[key]):
            best[key] = cell
    return best


@cache
def _columns() -> dict[tuple[str, str, str, str], dict[str, PublishedCell]]:
    """Cells by column, then by method, without ablations."""
    columns: dict[tuple[str, str, str, str], dict[str, PublishedCell]] = {}
    for (dataset, split, method, metric, category), cell in _index().items():
        if _is_ablation(cell):
            continue
        columns.setdefault((dataset, split, metric, category), {})[method] = cell
    return columns
