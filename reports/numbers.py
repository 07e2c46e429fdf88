"""What stands in a cell of a table: mean and spread over seeds, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltbench.reports import aggregate
from ltbench.reports.boards import Board
from ltbench.reports.standing import Place, Standing, Standings

Mark = Literal["", "best", "second"]


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
    interval: tuple[float, float] | None = None
    """95 % interval of the mean over seeds."""
    images: tuple[float, float] | None = None
    """95 % interval over the test images, where their scores are stored."""
    standing: Standing | None = None
    """Where it stands in its column, if it is ranked."""


def number(seeds: Sequence[int], values: Iterable[float], why: str) -> Number:
    """A number from one value per finished seed; a NaN among them leaves no mean: a mean over holes lies."""
    told = [None if math.isnan(value) else float(value) for value in values]
    by_seed = tuple(zip(seeds, told, strict=True))
    known = [value for value in told if value is not None]
    if not known or len(known) < len(told):
        return Number(None, None, by_seed, why)
    # math.fsum and not numpy: there are a hundred thousand of these, each of a few values.
    mean = math.fsum(known) / len(known)
    if len(known) == 1:
        return Number(mean, None, by_seed)
    return Number(
        mean, math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)), by_seed
    )


def group_numbers(board: Board, standings: Standings) -> dict[Place, Number]:
    """All means over groups, as `ltbench.reports.aggregate` defines them.

    The best group is marked, and the first method after it; nothing where the test shows no difference.
    """
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
        standing = standings.methods.get(place)
        can_tell = not standings.note(row.metric, row.group)
        found[place] = Number(
            mean=None if is_hole else float(row.mean),
            sd=None if np.isnan(row.sd) else float(row.sd),
            by_seed=tuple(seeds.get(place, ())),
            why=(_reason(board, place) or row.why) if is_hole else "",
            mark="best" if standing is not None and standing.tier == 1 and can_tell else "",
            interval=None if is_hole else standings.intervals.get(place),
            standing=standing,
        )
    for place in _seconds(standings):
        found[place] = replace(found[place], mark="second")
    return found


def _seconds(standings: Standings) -> Iterable[Place]:
    """The best method of each column that is not in its best group."""
    found: dict[tuple[str, str], Place] = {}
    for place, one in standings.methods.items():
        column = place[2:]
        if one.tier > 1 and (column not in found or one.rank < standings.methods[found[column]].rank):
            found[column] = place
    return found.values()


def _reason(board: Board, place: Place) -> str:
    """The reason that all categories of all finished seeds share, e.g. no maps at all; else ""."""
    method, digest, metric, group = place
    cube = board.cube
    config = cube.configs.index((method, digest))
    seeds = cube.finished[config]
    told = cube.reasons[config, cube.metrics.index(metric)][seeds][cube.members(group)[seeds]]
    reasons = {why or "" for why in told}
    return reasons.pop() if len(reasons) == 1 else ""


def category_numbers(board: Board, metric: str) -> dict[tuple[str, str], list[Number]]:
    """By (method, configuration digest): means over seeds of each of the board's categories."""
    cube = board.cube
    values = cube.values[:, cube.metrics.index(metric)]
    categories = [cube.categories.index(name) for name in board.categories]
    found = {}
    for config, key in enumerate(cube.configs):
        seeds = np.flatnonzero(cube.finished[config])
        names = [cube.seeds[position] for position in seeds]
        columns = values[config][seeds][:, categories].T
        found[key] = [number(names, column, "") for column in columns]
        for place in np.flatnonzero(np.isnan(columns).any(axis=1) | (len(seeds) == 0)):
            why = _hole(board, config, metric, seeds, categories[place])
            found[key][place] = replace(found[key][place], why=why)
    return found


def _hole(board: Board, config: int, metric: str, seeds: npt.NDArray[np.intp], category: int) -> str:
    """Why a category of a method has no mean."""
    if not len(seeds):
        return "no seed has finished"
    reasons = board.cube.reasons[config, board.cube.metrics.index(metric), seeds, category]
    values = board.cube.values[config, board.cube.metrics.index(metric), seeds, category]
    told = next(why for why, value in zip(reasons, values, strict=True) if np.isnan(value))
    return ("no row in the results" if told is None else str(told)) or "no reason was recorded"


def gap_number(rare: Number, frequent: Number) -> Number:
    """Frequent minus rare, seed by seed: what a method loses on the tail."""
    if rare.mean is None or frequent.mean is None:
        return Number(None, why=rare.why or frequent.why)
    pairs = [
        (seed, (high - low) if low is not None and high is not None else float("nan"))
        for (seed, low), (_, high) in zip(rare.by_seed, frequent.by_seed, strict=True)
    ]
    return number([seed for seed, _ in pairs], [value for _, value in pairs], "")
