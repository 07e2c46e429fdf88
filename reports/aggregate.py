"""From result rows to the numbers of a table: group means per seed, then mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from ltbench.reports.conflicts import protocol_conflicts
from ltbench.reports.cube import Asked, Cube, cubes
from ltbench.reports.entries import BASELINE
from ltbench.reports.numbers import Number, number
from ltbench.results.errors import ResultsError
from ltbench.results.status import Status

Positions = npt.NDArray[np.intp]

KEY = ("dataset", "split", "method", "config_digest", "metric", "group")
"""Columns that identify a number of a table."""
BOARD = (*KEY, "mean", "sd", "n_seeds", "expected_seeds", "n_categories", "ranked", "why")
"""Columns of `board`."""


def board(frame: pd.DataFrame, asked: Asked | None = None) -> pd.DataFrame:
    """One row per number of a table; columns BOARD, sorted by data set, split, metric and group.

    `frame` has columns of `ltbench.results.schema.METRICS`; `asked` holds the seeds that a (data set, split)
    needs, by default all that any method has. The rule is that of TailedCore's tables (Jung et al., CVPR
    2025): the mean over the categories of a group within one seed (a category may change its group from seed
    to seed), then the mean over seeds.

    mean            fraction 0..1, unweighted; NaN if a category of a finished seed has no value
    sd              sample standard deviation over seeds (n - 1); NaN with fewer than two
    n_seeds         finished seeds in the mean; `expected_seeds` were asked for
    n_categories    categories of the group, the smallest number over seeds
    ranked          all expected seeds are in the mean, and the method is not the baseline
    why             why there is no mean, or which seeds it lacks; "" if nothing is missing

    Raises ResultsError where rows are not comparable (see `protocol_conflicts`) or two rows claim one place.
    """
    conflicts = protocol_conflicts(frame)
    if len(conflicts):
        raise ResultsError(
            f"{len(conflicts)} of {len(frame)} rows cannot stand in one table with the others; the first: "
            f"{conflicts['why'].iloc[0]}; drop them (`frame.drop(conflicts.index)`) or run these cells again"
        )
    rows = [row for cube in cubes(frame, asked) for row in _board_rows(cube)]
    return pd.DataFrame(rows, columns=list(BOARD)).astype({"mean": float, "sd": float, "ranked": bool})


def _board_rows(cube: Cube) -> Iterator[tuple[object, ...]]:
    for metric, name in enumerate(cube.metrics):
        for group in cube.group_names:
            sizes = cube.members(group).sum(axis=1)[cube.present.any(axis=1)]
            smallest = int(sizes.min(initial=len(cube.categories)))
            for config, one in enumerate(group_numbers(cube, metric, group)):
                n_seeds, expected = len(one.by_seed), len(cube.seeds)
                is_whole = one.mean is not None and n_seeds == expected
                ranked = is_whole and cube.configs[config][0] != BASELINE
                why = one.why or _missing(cube, config)
                key = (cube.dataset, cube.split, *cube.configs[config], name, group)
                yield (*key, one.mean, one.sd, n_seeds, expected, smallest, ranked, why)


def group_numbers(cube: Cube, metric: int, group: str, *, is_fraction: bool = True) -> list[Number]:
    """Mean over the categories of a group, then over finished seeds: one number per configuration."""
    members = cube.members(group)
    sizes = members.sum(axis=1)
    summed = np.where(members, cube.values[:, metric], 0.0).sum(axis=2)
    with np.errstate(invalid="ignore"):
        means = summed / np.where(sizes == 0, np.nan, sizes)  # config, seed
    found = []
    for config, finished in enumerate(cube.finished):
        seeds = np.flatnonzero(finished)
        values = means[config, seeds]
        why = ""
        if not len(seeds):
            why = _missing(cube, config)
        elif np.isnan(values).any():
            why = _hole(cube, config, metric, group, seeds[np.isnan(values)])
        found.append(number([cube.seeds[at] for at in seeds], values, why, is_fraction=is_fraction))
    return found


def category_numbers(cube: Cube, metric: int, *, is_fraction: bool = True) -> list[dict[str, Number]]:
    """Mean over finished seeds of every category: one dictionary per configuration."""
    found = []
    for config, finished in enumerate(cube.finished):
        seeds = np.flatnonzero(finished)
        names = [cube.seeds[at] for at in seeds]
        found.append(
            {
                category: number(
                    names, cube.values[config, metric, seeds, at],
                    _category_hole(cube, config, metric, seeds, at), is_fraction=is_fraction,
                )
                for at, category in enumerate(cube.categories)
            }
        )  # fmt: skip
    return found


def _category_hole(cube: Cube, config: int, metric: int, seeds: Positions, category: int) -> str:
    """Reason why a category of a configuration has no mean; "" if it has one."""
    if not len(seeds):
        return "no seed has finished"
    holes = seeds[np.isnan(cube.values[config, metric, seeds, category])]
    return _told(cube.reasons[config, metric, holes[0], category]) if len(holes) else ""


def _hole(cube: Cube, config: int, metric: int, group: str, seeds: Positions) -> str:
    """Reason why a group has no mean: the one reason of all its values, or what these seeds lack."""
    members = cube.members(group)
    finished = cube.finished[config]
    reasons = set(cube.reasons[config, metric][finished][members[finished]])
    if len(reasons) == 1 and (reason := reasons.pop()):
        return str(reason)
    texts = list(dict.fromkeys(_seed_hole(cube, config, metric, group, seed) for seed in seeds))
    return texts[0] if len(texts) == 1 else f"{texts[0]} (and {len(texts) - 1} more)"


def _seed_hole(cube: Cube, config: int, metric: int, group: str, seed: int) -> str:
    """Sentence on the categories of one seed that have no value, and on the reasons."""
    members = cube.members(group)[seed]
    if not members.any():
        return f"the split of seed {cube.seeds[seed]} has no category in the group '{group}'"
    empty = np.flatnonzero(members & np.isnan(cube.values[config, metric, seed]))
    reasons = sorted({_told(why) for why in cube.reasons[config, metric, seed, empty]})
    names = [cube.categories[category] for category in empty]
    if len(names) == members.sum():
        which = f"any of {len(names)} categories"
    else:
        which = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"no value for {which} with seed {cube.seeds[seed]}: {'; '.join(reasons)}"


def _told(why: str | None) -> str:
    return "no row in the results" if why is None else why or "no reason was recorded"


def _missing(cube: Cube, config: int) -> str:
    """Expected seeds that do not count, with reasons."""
    told = []
    for position, seed in enumerate(cube.seeds):
        status, error = cube.statuses[config, position], cube.errors[config, position]
        if status is None:
            told.append(f"seed {seed} has not been run")
        elif status != str(Status.OK):
            told.append(f"seed {seed} ended with '{status}'" + (f": {error}" if error else ""))
    return "; ".join(told)
