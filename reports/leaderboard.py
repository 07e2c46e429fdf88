"""The tables of a board: one per metric, one per metric with its categories, one of costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ltbench.reports.boards import Board, Metric
from ltbench.reports.cube import ALL
from ltbench.reports.entries import Entry
from ltbench.reports.numbers import Mark, Number, category_numbers, gap_number, group_numbers, number
from ltbench.reports.standing import Place, Standings, board_standings
from ltbench.reports.tables import Column, Line, Table, footnotes
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


@dataclass(frozen=True, eq=False)
class Sheet:
    """A board and its tables."""

    board: Board
    metrics: tuple[Table, ...]
    """One per metric of the board: groups, all, gap."""
    classes: tuple[Table, ...]
    """One per metric: a column per category."""
    cost: Table
    standings: Standings


def sheet(board: Board, ends: Ends | None = None) -> Sheet:
    """The tables; with `ends` (`uncertainty.image_ends`) numbers know their intervals over test images."""
    standings = board_standings(board)
    means = group_numbers(board, standings)
    over_images = _over_images(board, ends) if ends else None
    if over_images:
        means = {place: replace(one, images=over_images.get(place)) for place, one in means.items()}
    metrics = tuple(metric_table(board, metric, means, standings) for metric in board.metrics)
    classes = tuple(
        class_table(board, metric, table, over_images)
        for metric, table in zip(board.metrics, metrics, strict=True)
    )
    return Sheet(board, metrics, classes, cost_table(board), standings)


def metric_table(board: Board, facts: Metric, means: Mapping[Place, Number], standings: Standings) -> Table:
    """Groups, all, and the gap between frequent and rare; best rows first."""
    groups = board.group_names
    columns = [
        Column(
            f"{facts.name}.{group}", GROUP_TITLES.get(group, group), facts.title,
            hint=GROUP_HINTS.get(group, f"mean over the categories of the group {group}"),
            tint=TINTS.get(group, ""),
            note=standings.note(facts.name, group),
            unit=facts.column_unit,
            higher_is_better=facts.higher_is_better,
        )
        for group in groups
    ]  # fmt: skip
    pair = next(((low, high) for low, high in _PAIRS if low in groups and high in groups), None)
    if pair:
        title = f"{GROUP_TITLES[pair[1]]} − {GROUP_TITLES[pair[0]]}"
        hint = "what is lost on rare categories; negative: rare ones fare better"
        columns.append(
            Column(
                f"{facts.name}.gap",
                "Gap",
                facts.title,
                facts.column_unit,
                f"{title}: {hint}",
                is_marked=False,
            )
        )
    rows: list[list[Number]] = []
    for entry in board.entries:
        numbers = [means[entry.method, entry.config_digest, facts.name, group] for group in groups]
        if pair:
            numbers.append(gap_number(numbers[groups.index(pair[0])], numbers[groups.index(pair[1])]))
        rows.append(numbers)
    lines = [Line(entry, tuple(row)) for entry, row in zip(board.entries, rows, strict=True)]
    return Table(
        name=f"{board.name}--{facts.name}",
        title=facts.title,
        caption=f"{facts.title} ({facts.unit}), {_where(board)}. "
        "Bold: the best group by a paired test; underlined: the first method after it.",
        columns=columns,
        lines=_ordered(lines, groups.index(ALL), facts.higher_is_better),
        footnotes=footnotes(lines),
    )


def _over_images(board: Board, ends: Ends) -> Mapping[Place, tuple[float, float]]:
    """Intervals over test images of all means; a single category stands as group "=<category>"."""
    cells = {
        ((entry.method, entry.config_digest), seed): of_cell(ends, entry.cells[seed])
        for entry in board.entries
        for seed in entry.finished
    }
    cube = board.cube
    low, high = interval_arrays(cube, cells)
    found: dict[Place, tuple[float, float]] = {}
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


def class_table(
    board: Board, facts: Metric, like: Table, over_images: Mapping[Place, tuple[float, float]] | None = None
) -> Table:
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
    found = category_numbers(board, facts.name)
    rows = [found[entry.method, entry.config_digest] for entry in board.entries]
    if over_images:
        rows = [
            [
                replace(
                    one, images=over_images.get((entry.method, entry.config_digest, facts.name, f"={name}"))
                )
                for one, name in zip(row, board.categories, strict=True)
            ]
            for entry, row in zip(board.entries, rows, strict=True)
        ]
    by_entry = {line.entry.anchor: line for line in _marked(board.entries, rows, columns)}
    lines = [by_entry[line.entry.anchor] for line in like.lines]
    return Table(
        name=f"{board.name}--{facts.name}--classes",
        title=facts.title,
        caption=f"{facts.title} ({facts.unit}) per category, {_where(board)}.",
        columns=columns,
        lines=lines,
        footnotes=footnotes(lines),
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
        footnotes=footnotes(lines),
    )


def _cost(entry: Entry, key: str) -> Number:
    values: list[float] = []
    for seed in entry.finished:
        record = entry.cells[seed].record
        value = {**record.figures, **vars(record.timing)}.get(key)
        values.append(math.nan if value is None else float(value))
    return number(entry.finished, values, "not recorded" if values else "; ".join(entry.holes))


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
