"""The published number that belongs beside a measured one."""

from __future__ import annotations

from functools import cache

from results.published.printed import PublishedCell, cells, table

_Key = tuple[str, str, str, str, str]

# The same training list under two names: MeDS at ratio 0 trains on the official lists.
_SAME_SPLIT = {("mvtec", "clean"): "meds_nr00", ("visa", "clean"): "meds_nr00"}


def published(
    dataset: str, split: str, method: str, metric: str, group_or_category: str = "all"
) -> PublishedCell | None:
    """The printed value of `method` on a split, for one category or a group's mean; None if no paper has it.

    Groups: "all"; LTAD's "high" and "low"; TailedCore's "head" and "tail". Where a paper prints a number
    twice, the one that no lint finding doubts wins, then the one with more decimals, then the earlier table.
    Ablation tables are left out: their rows are variants. Constant time: ask for every cell of a board.
    """
    split = _SAME_SPLIT.get((dataset, split), split)
    return _index().get((dataset, split, method, metric, group_or_category))


def column(dataset: str, split: str, metric: str, group_or_category: str = "all") -> dict[str, PublishedCell]:
    """All methods that a paper reports for this column, by name: also those that nobody has measured here."""
    split = _SAME_SPLIT.get((dataset, split), split)
    return dict(_columns().get((dataset, split, metric, group_or_category), {}))


def _preference(cell: PublishedCell) -> tuple[bool, int, int]:
    return cell.suspicious, -table(cell.paper, cell.table).decimals, cell.table


@cache
def _index() -> dict[_Key, PublishedCell]:
    best: dict[_Key, PublishedCell] = {}
    for cell in cells():
        if table(cell.paper, cell.table).kind == "ablation":
            continue
        key = (cell.dataset, cell.split, cell.method, cell.metric, cell.category)
        if key not in best or _preference(cell) < _preference(best[key]):
            best[key] = cell
    return best


@cache
def _columns() -> dict[tuple[str, str, str, str], dict[str, PublishedCell]]:
    found: dict[tuple[str, str, str, str], dict[str, PublishedCell]] = {}
    for (dataset, split, method, metric, category), cell in _index().items():
        found.setdefault((dataset, split, metric, category), {})[method] = cell
    return found
