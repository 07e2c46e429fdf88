"""The tables of a board: one per metric, one per metric with its categories, one of costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ltbench.reports.aggregate import category_numbers, group_numbers
from ltbench.reports.boards import Board, Metric
from ltbench.reports.cube import ALL
from ltbench.reports.entries import BASELINE, Entry
from ltbench.reports.numbers import Mark, Number, gap_number, number
from ltbench.reports.statistics.standings import Test, standings
from ltbench.reports.tables import Column, Line, Table
from ltbench.reports.uncertainty import Ends, category_ends, group_ends, interval_arrays, of_cell

GROUP_TITLES = {"tail": "C_t", "head": "C_h", "low": "Low", "high": "High", ALL: "All"}
GROUP_HINTS = {
    "tail": "mean over the rare (tail) categories of each seed's split",
    "head": "mean over the frequent (head) categories of each seed's split",
    "low": "mean over the categories with few training images",
    "high": "mean over the categories with many training images",
    ALL: "mean over all categories",
}
TINTS = {"tail": "tail", "low": "tail", "head": "head", "high": "head"}
_PAIRS = (("tail", "head"), ("low", "high"))
ImageEnds = Mapping[tuple[str, str, str, str], tuple[float, float]]
"""(method, configuration digest, metric, group) -> both ends over test images."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A board and its tables."""

    board: Board
    metrics: tuple[Table, ...]
    """One per metric of the board: groups, all, gap."""
    classes: tuple[Table, ...]
    """One per metric: a column per category."""
    cost: Table


def sheet(board: Board, ends: Ends | None = None) -> Sheet:
    """The tables; with `ends` (`uncertainty.image_ends`) numbers know their intervals over test images."""
    images = _image_ends(board, ends)
    metrics = tuple(_metric_table(board, metric, images) for metric in board.metrics)
    classes = tuple(
        _class_table(board, metric, table, images)
        for metric, table in zip(board.metrics, metrics, strict=True)
    )
    return Sheet(board, metrics, classes, cost_table(board))


def _metric_table(board: Board, facts: Metric, images: ImageEnds) -> Table:
    """Groups, all, and the gap between frequent and rare; best rows first."""
    groups = board.group_names
    columns: list[Column] = []
    numbers: dict[str, list[Number]] = {}
    for group in groups:
        numbers[group], test = _ranked_numbers(board, facts, group, images)
        columns.append(
            Column(
                f"{facts.name}.{group}", GROUP_TITLES.get(group, group), facts.title,
                hint=GROUP_HINTS.get(group, f"mean over the categories of the group {group}"),
                tint=TINTS.get(group, ""),
                test=test,
                unit=facts.column_unit,
                higher_is_better=facts.higher_is_better,
            )
        )  # fmt: skip
    pair = next(((low, high) for low, high in _PAIRS if low in groups and high in groups), None)
    if pair:
        title = f"{GROUP_TITLES[pair[1]]} − {GROUP_TITLES[pair[0]]}"
        hint = "what is lost on rare categories; negative: rare ones fare better"
        gap = Column(
            f"{facts.name}.gap", "Gap", facts.title, facts.column_unit, f"{title}: {hint}", is_marked=False
        )
        columns.append(gap)
        numbers["gap"] = [gap_number(*both) for both in zip(*(numbers[name] for name in pair), strict=True)]
    at = {config: position for position, config in enumerate(board.cube.configs)}
    lines = [
        Line(entry, tuple(column[at[entry.method, entry.config_digest]] for column in numbers.values()))
        for entry in board.entries
    ]
    return Table(
        name=f"{board.name}--{facts.name}",
        title=facts.title,
        caption=f"{facts.title} ({facts.unit}), {_where(board)}. "
        "Bold: the best group by a paired test; underlined: the first method after it.",
        columns=columns,
        lines=_ordered(lines, groups.index(ALL), facts.higher_is_better),
    )


def _ranked_numbers(board: Board, facts: Metric, group: str, images: ImageEnds) -> tuple[list[Number], Test]:
    """Means over a group with their standings, by configuration.

    The best group and the next method are marked; none if the test shows no difference.
    """
    cube = board.cube
    metric = cube.metrics.index(facts.name)
    values = cube.values[:, metric] if facts.higher_is_better else 1 - cube.values[:, metric]
    eligible = cube.finished.all(axis=1) & np.array([method != BASELINE for method, _ in cube.configs])
    stands, test = standings(values, cube.members(group), eligible)
    second = min((one.rank for one in stands if one is not None and one.tier > 1), default=None)
    found = []
    for at, one in enumerate(group_numbers(cube, metric, group, is_fraction=facts.unit == "%")):
        standing = stands[at]
        mark: Mark = ""
        if standing is not None and not test.note:
            mark = "best" if standing.tier == 1 else "second" if standing.rank == second else ""
        ends = images.get((*cube.configs[at], facts.name, group))
        found.append(replace(one, standing=standing, mark=mark, images=ends))
    return found, test


def _image_ends(board: Board, ends: Ends | None) -> ImageEnds:
    """Intervals over test images of all means; a single category is the group "=<category>"."""
    if not ends:
        return {}
    cells = {
        ((entry.method, entry.config_digest), seed): of_cell(ends, entry.cells[seed])
        for entry in board.entries
        for seed in entry.finished
    }
    cube = board.cube
    low, high = interval_arrays(cube, cells)
    found: dict[tuple[str, str, str, str], tuple[float, float]] = {}
    for c, config in enumerate(cube.configs):
        seeds = cube.finished[c]
        for m, metric in enumerate(cube.metrics):
            if not seeds.any() or np.isnan(low[c, m]).all():
                continue
            arrays = cube.values[c, m][seeds], low[c, m][seeds], high[c, m][seeds]
            for group in board.group_names:
                found[*config, metric, group] = group_ends(*arrays, cube.members(group)[seeds])
            for name, *both in zip(cube.categories, *category_ends(*arrays), strict=True):
                found[*config, metric, f"={name}"] = (float(both[0]), float(both[1]))
    return {place: both for place, both in found.items() if not math.isnan(both[0])}


def _class_table(board: Board, facts: Metric, like: Table, images: ImageEnds) -> Table:
    """One column per category, large training sets first, methods in the order of the table `like`.

    A category may be rare in one seed and frequent in another.
    """
    columns = [
        Column(
            f"{facts.name}.{name}", name, facts.title, facts.column_unit,
            higher_is_better=facts.higher_is_better,
        )
        for name in board.categories
    ]  # fmt: skip
    cube = board.cube
    metric = cube.metrics.index(facts.name)
    found = category_numbers(cube, metric, is_fraction=facts.unit == "%")
    by_config = dict(zip(cube.configs, found, strict=True))
    rows = []
    for entry in board.entries:
        config = (entry.method, entry.config_digest)
        numbers = [(name, by_config[config][name]) for name in board.categories]
        rows.append(
            [replace(one, images=images.get((*config, facts.name, f"={name}"))) for name, one in numbers]
        )
    by_entry = {line.entry.anchor: line for line in _marked(board.entries, rows, columns)}
    lines = [by_entry[line.entry.anchor] for line in like.lines]
    return Table(
        name=f"{board.name}--{facts.name}--classes",
        title=facts.title,
        caption=f"{facts.title} ({facts.unit}) per category, {_where(board)}.",
        columns=columns,
        lines=lines,
    )


COSTS: tuple[tuple[str, str, str, str], ...] = (
    ("fit_seconds", "Fit", "s", "seconds to fit, with feature extraction where it was not cached"),
    ("score_ms_per_image", "Score", "ms", "milliseconds per scored image"),
    ("peak_rss_mb", "Memory", "MB", "largest resident memory of the process"),
    ("peak_vram_mb", "GPU", "MB", "largest memory on the accelerator"),
    ("memory_bank_mb", "Bank", "MB", "size of what the method keeps of the training set"),
)


def cost_table(board: Board) -> Table:
    """Time and memory; columns that no method reports are left out."""
    rows = [[_cost(entry, key) for key, _, _, _ in COSTS] for entry in board.entries]
    wanted = [i for i in range(len(COSTS)) if any(row[i].mean is not None for row in rows)]
    columns = [
        Column(f"cost.{key}", title, "Cost", unit, hint, is_marked=False, higher_is_better=False)
        for key, title, unit, hint in (COSTS[i] for i in wanted)
    ]
    lines = [
        Line(entry, tuple(row[i] for i in wanted)) for entry, row in zip(board.entries, rows, strict=True)
    ]
    return Table(
        name=f"{board.name}--cost",
        title="Cost",
        caption=f"Time and memory, {_where(board)}; comparable only on one machine.",
        columns=columns,
        lines=lines,
    )


def _cost(entry: Entry, key: str) -> Number:
    values: list[float] = []
    for seed in entry.finished:
        record = entry.cells[seed].record
        value = {**record.figures, **vars(record.timing)}.get(key)
        values.append(math.nan if value is None else float(value))
    why = "not recorded" if values else "; ".join(entry.holes)
    return number(entry.finished, values, why, is_fraction=False)


def _marked(
    entries: Sequence[Entry], rows: Sequence[Sequence[Number]], columns: Sequence[Column]
) -> list[Line]:
    marks: list[Mapping[int, Mark]] = [
        _best([row[c] for row in rows], entries, column.higher_is_better) if column.is_marked else {}
        for c, column in enumerate(columns)
    ]
    return [
        Line(entry, tuple(replace(n, mark=marks[c].get(e, "")) for c, n in enumerate(rows[e])))
        for e, entry in enumerate(entries)
    ]


def _best(numbers: Sequence[Number], entries: Sequence[Entry], higher_is_better: bool) -> dict[int, Mark]:
    """The best mean and the next one, among ranked rows."""
    ranked = {e: n.mean for e, n in enumerate(numbers) if n.mean is not None and entries[e].is_ranked}
    levels = sorted(set(ranked.values()), reverse=higher_is_better)
    marks: dict[float, Mark] = dict(zip(levels, ("best", "second"), strict=False))
    return {e: marks[mean] for e, mean in ranked.items() if mean in marks}


def _ordered(lines: Sequence[Line], by: int, higher_is_better: bool) -> list[Line]:
    """Ranked rows by their mean, then unranked ones, the baseline last; ranks as text."""

    sign = 1 if higher_is_better else -1

    def place(line: Line) -> tuple[bool, bool, bool, float]:
        mean = line.numbers[by].mean
        return line.entry.is_baseline, not line.entry.is_ranked, mean is None, -sign * (mean or 0.0)

    ordered = sorted(lines, key=place)
    means = [line.numbers[by].mean for line in ordered if line.entry.is_ranked]
    return [
        replace(line, rank=str(1 + sum(other is not None and sign * other > sign * mean for other in means)))
        if line.entry.is_ranked and (mean := line.numbers[by].mean) is not None
        else line
        for line in ordered
    ]


def _where(board: Board) -> str:
    where = f"{board.dataset_title}, split {board.split}: mean and standard deviation over "
    asked = board.asked
    if len(asked) == 1:
        return f"{where}one seed ({asked[0]})"
    return f"{where}{len(asked)} seeds ({', '.join(str(seed) for seed in asked)})"
