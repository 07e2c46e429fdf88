"""The published number that belongs beside a measured one."""

from __future__ import annotations

from functools import cache

from ltbench.results.published.printed import PublishedCell, cells, table

_Key = tuple[str, str, str, str, str]

# The same training list under two names: MeDS at ratio 0 trains on the official lists.
# TailedCore's noise ablation is its main release at 10 %.
_SAME_SPLIT = {
    ("mvtec", "clean"): "meds_nr00",
    ("visa", "clean"): "meds_nr00",
    **{("mvtec", f"{name}_ablation_nr10"): name for name in ("pareto", "step_k4", "step_k1")},
}
_LAST = {"figure": 1, "ablation": 2}
"""Kinds of tables whose numbers yield to those of the others."""


def printed_split(dataset: str, split: str) -> str:
    """The name under which the papers' tables have a split."""
    return _SAME_SPLIT.get((dataset, split), split)


def published(
    dataset: str, split: str, method: str, metric: str, group_or_category: str = "all"
) -> PublishedCell | None:
    """The printed value of `method` on a split, for one category or a group's mean; None if no paper has it.

    method: its printed name, which for a configuration `variants.printed_as` knows.
    Groups: "all"; LTAD's "high" and "low"; TailedCore's "head" and "tail". Where a paper prints a number
    twice, a figure's and then an ablation's come last; the one that no lint finding doubts wins, then the one
    with more decimals, then the earlier table. Constant time: ask for every cell of a board.
    """
    return _index().get((dataset, printed_split(dataset, split), method, metric, group_or_category))


def column(dataset: str, split: str, metric: str, group_or_category: str = "all") -> dict[str, PublishedCell]:
    """All methods that a paper reports for this column, by name: also those that nobody has measured here.

    Without rows of ablations, which are variants of a method.
    """
    return dict(_columns().get((dataset, printed_split(dataset, split), metric, group_or_category), {}))


def _is_ablation(cell: PublishedCell) -> bool:
    return table(cell.paper, cell.table).kind == "ablation"


def _preference(cell: PublishedCell) -> tuple[int, bool, int, int]:
    origin = table(cell.paper, cell.table)
    return _LAST.get(origin.kind, 0), cell.suspicious, -origin.decimals, cell.table


@cache
def _index() -> dict[_Key, PublishedCell]:
    best: dict[_Key, PublishedCell] = {}
    for cell in cells():
        key = (cell.dataset, cell.split, cell.method, cell.metric, cell.category)
        if key not in best or _preference(cell) < _preference(best[key]):
            best[key] = cell
    return best


@cache
def _columns() -> dict[tuple[str, str, str, str], dict[str, PublishedCell]]:
    found: dict[tuple[str, str, str, str], dict[str, PublishedCell]] = {}
    for (dataset, split, method, metric, category), cell in _index().items():
        if _is_ablation(cell):
            continue
        found.setdefault((dataset, split, metric, category), {})[method] = cell
    return found
