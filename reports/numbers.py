"""What stands in a cell of a table: mean and spread over seeds, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports import aggregate
from reports.boards import Board

Mark = Literal["", "best", "second"]
Place = tuple[str, str, str, str]
"""(method, configuration digest, metric, group)."""


@dataclass(frozen=True)
class Number:
    """Mean over seeds; a fraction for scores, in the column's unit for costs."""

    mean: float | None
    sd: float | None = None
    """Sample standard deviation over seeds; None with fewer than two."""
    by_seed: tuple[tuple[int, float | None], ...] = ()
    why: str = ""
    """Why `mean` is None."""
    mark: Mark = ""


def number(seeds: Sequence[int], values: Sequence[float], why: str) -> Number:
    """A number from one value per finished seed; a NaN among them leaves no mean: a mean over holes lies."""
    by_seed = tuple(
        (seed, None if np.isnan(value) else float(value)) for seed, value in zip(seeds, values, strict=True)
    )
    told = np.asarray(values, dtype=np.float64)
    if told.size == 0 or np.isnan(told).any():
        return Number(None, None, by_seed, why)
    return Number(float(told.mean()), float(told.std(ddof=1)) if told.size > 1 else None, by_seed)


def group_numbers(board: Board) -> dict[Place, Number]:
    """All means over groups, as `reports.aggregate` defines them."""
    seeds: dict[Place, list[tuple[int, float | None]]] = {}
    for row in aggregate.seed_means(board.rows, board.wanted).itertuples(index=False):
        if row.status == "ok":
            place = (row.method, row.config_digest, row.metric, row.group)
            seeds.setdefault(place, []).append(
                (int(row.seed), None if np.isnan(row.mean) else float(row.mean))
            )
    found = {}
    for row in aggregate.board(board.rows, board.wanted).itertuples(index=False):
        place = (row.method, row.config_digest, row.metric, row.group)
        is_hole = bool(np.isnan(row.mean))
        found[place] = Number(
            mean=None if is_hole else float(row.mean),
            sd=None if np.isnan(row.sd) else float(row.sd),
            by_seed=tuple(seeds.get(place, ())),
            why=(_reason(board, place) or row.why) if is_hole else "",
        )
    return found


def _reason(board: Board, place: Place) -> str:
    """The reason that all categories of all finished seeds share, e.g. no maps at all; else ""."""
    method, digest, metric, group = place
    cube = board.cube
    config = cube.configs.index((method, digest))
    seeds = cube.finished[config]
    told = cube.reasons[config, cube.metrics.index(metric)][seeds][cube.members(group)[seeds]]
    reasons = {why or "" for why in told}
    return reasons.pop() if len(reasons) == 1 else ""


def category_number(board: Board, config: int, metric: int, category: int) -> Number:
    """Mean over seeds of one category's value; positions are those of the board's cube."""
    cube = board.cube
    finished = np.flatnonzero(cube.finished[config])
    seeds = [cube.seeds[position] for position in finished]
    values = cube.values[config, metric, finished, category]
    holes = finished[np.isnan(values)]
    why = "no seed has finished" if not len(finished) else ""
    if len(holes):
        told = cube.reasons[config, metric, holes[0], category]
        why = ("no row in the results" if told is None else told) or "no reason was recorded"
    return number(seeds, [float(value) for value in values], why)


def gap_number(rare: Number, frequent: Number) -> Number:
    """Frequent minus rare, seed by seed: what a method loses on the tail."""
    if rare.mean is None or frequent.mean is None:
        return Number(None, why=rare.why or frequent.why)
    pairs = [
        (seed, (high - low) if low is not None and high is not None else float("nan"))
        for (seed, low), (_, high) in zip(rare.by_seed, frequent.by_seed, strict=True)
    ]
    return number([seed for seed, _ in pairs], [value for _, value in pairs], "")
