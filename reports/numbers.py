"""What stands in a cell of a table: mean and spread over seeds, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.boards import Array, Board

Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Number:
    """Mean over seeds; a fraction for scores, in the column's unit for costs."""

    mean: float | None
    sd: float | None = None
    """Sample standard deviation over seeds; None with fewer than two."""
    by_seed: tuple[tuple[int, float | None], ...] = ()
    why: str = ""
    """Why `mean` is None; may be set beside a mean that lacks seeds."""
    mark: Mark = ""

    @property
    def count(self) -> int:
        """Seeds in the mean."""
        return sum(value is not None for _, value in self.by_seed)


def number(seeds: Sequence[int], values: Sequence[float], why: str) -> Number:
    """A number from one value per finished seed; a NaN among them leaves no mean, since a mean over holes lies."""
    by_seed = tuple((seed, None if np.isnan(value) else float(value)) for seed, value in zip(seeds, values, strict=True))
    told = np.asarray(values, dtype=np.float64)
    if told.size == 0 or np.isnan(told).any():
        return Number(None, None, by_seed, why)
    return Number(float(told.mean()), float(told.std(ddof=1)) if told.size > 1 else None, by_seed)


def group_number(board: Board, entry: int, metric: int, group: str) -> Number:
    """Mean over seeds of the mean over the group's categories: exists only if every category of each seed has a value."""
    line = board.entries[entry]
    if not line.finished:
        return Number(None, why="; ".join(line.holes) or "no seed has finished")
    means, why = [], ""
    for seed in line.finished:
        position = board.seeds.index(seed)
        members = board.members(seed, group)
        values = board.values[entry, position, members, metric]
        means.append(float(values.mean()) if values.size else float("nan"))
        if not values.size:
            why = why or f"the split of seed {seed} has no category in the group “{group}”"
        elif np.isnan(values).any():
            why = why or _hole(board, entry, position, members, metric)
    return number(line.finished, means, why)


def category_number(board: Board, entry: int, metric: int, category: int) -> Number:
    """Mean over seeds of one category's value."""
    line = board.entries[entry]
    if not line.finished:
        return Number(None, why="; ".join(line.holes) or "no seed has finished")
    positions = [board.seeds.index(seed) for seed in line.finished]
    values: Array = board.values[entry, positions, category, metric]
    missing = [position for position, value in zip(positions, values, strict=True) if np.isnan(value)]
    why = _reason(board, entry, missing[0], category, metric) if missing else ""
    return number(line.finished, [float(value) for value in values], why)


def gap_number(rare: Number, frequent: Number) -> Number:
    """Frequent minus rare, seed by seed: what a method loses on the tail."""
    if rare.mean is None or frequent.mean is None:
        return Number(None, why=rare.why or frequent.why)
    pairs = [
        (seed, (high - low) if low is not None and high is not None else float("nan"))
        for (seed, low), (_, high) in zip(rare.by_seed, frequent.by_seed, strict=True)
    ]
    return number([seed for seed, _ in pairs], [value for _, value in pairs], "")


def _hole(board: Board, entry: int, seed: int, members: np.ndarray, metric: int) -> str:
    """The reasons of the empty categories, e.g. "no value for 12 of 12 categories: the method returns no maps"."""
    empty = [c for c in np.flatnonzero(members) if np.isnan(board.values[entry, seed, c, metric])]
    reasons = sorted({_reason(board, entry, seed, int(category), metric) for category in empty})
    if len(empty) == 1:
        return f"no value for {board.categories[empty[0]]}: {reasons[0]}"
    return f"no value for {len(empty)} of {int(members.sum())} categories: {'; '.join(reasons)}"


def _reason(board: Board, entry: int, seed: int, category: int, metric: int) -> str:
    told = board.reasons.get((entry, seed, category, metric))
    if told is None:
        return f"the results of seed {board.seeds[seed]} have no row for it"
    return told or "no reason was recorded"
