"""From result rows to the numbers of a table: group means per seed, then mean and spread over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ltbench.reports.conflicts import protocol_conflicts
from ltbench.reports.cube import Asked, Cube, Floats, cubes
from ltbench.reports.entries import BASELINE
from ltbench.results.errors import ResultsError
from ltbench.results.status import Status

__all__ = [
    "BOARD",
    "COSTS",
    "KEY",
    "SEED_MEANS",
    "board",
    "costs",
    "protocol_conflicts",
    "seed_means",
]

KEY = ("dataset", "split", "method", "config_digest", "metric", "group")
"""What names a number of a table."""
BOARD = (*KEY, "mean", "sd", "n_seeds", "expected_seeds", "n_categories", "ranked", "why")
"""Columns of `board`."""
SEED_MEANS = (*KEY, "seed", "mean", "n_categories", "status", "why")
"""Columns of `seed_means`."""
COSTS = ("fit_seconds", "score_ms_per_image", "peak_rss_mb", "peak_vram_mb", "memory_bank_mb")


def board(frame: pd.DataFrame, asked: Asked | None = None) -> pd.DataFrame:
    """One row per number of a table; columns BOARD, sorted by data set, split, metric and group.

    `frame` has columns of `ltbench.results.schema.METRICS`; `asked` tells which seeds a (data set, split)
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
    blocks = [_board_rows(cube) for cube in cubes(frame, asked)]
    return _joined(blocks, BOARD)


def seed_means(frame: pd.DataFrame, asked: Asked | None = None) -> pd.DataFrame:
    """Group means of each seed, which `board` averages; columns SEED_MEANS, one row per cell that was run."""
    blocks = []
    for cube in cubes(frame, asked):
        for group in cube.group_names:
            means, whys, counts = _group_means(cube, group)
            config, metric, seed = (axis.ravel() for axis in np.indices(means.shape))
            ran = np.asarray(pd.notna(cube.statuses))[config, seed]
            config, metric, seed = config[ran], metric[ran], seed[ran]
            blocks.append(
                {
                    **_names(cube, group, config, metric),
                    "seed": np.array(cube.seeds)[seed],
                    "mean": means[config, metric, seed],
                    "n_categories": counts[seed],
                    "status": cube.statuses[config, seed],
                    "why": whys[config, metric, seed],
                }
            )
    return _joined(blocks, SEED_MEANS)


def costs(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over finished seeds of each of COSTS, per (dataset, split, method, config_digest), with n_seeds.

    NaN where a seed has no such figure, e.g. no accelerator.
    """
    name = ["dataset", "split", "method", "config_digest"]
    done = frame[frame["status"] == str(Status.OK)].drop_duplicates([*name, "seed"])
    groups = done.groupby(name, sort=True)
    found = groups[list(COSTS)].mean(skipna=False)
    return pd.concat([groups.size().rename("n_seeds"), found], axis=1).reset_index()


def _joined(blocks: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    columns: dict[str, Any] = {
        name: np.concatenate([block[name] for block in blocks]) if blocks else [] for name in names
    }
    return pd.DataFrame(columns, columns=list(names))


def _board_rows(cube: Cube) -> dict[str, Any]:
    blocks = []
    finished = cube.finished[:, None, :]  # config, 1, seed
    n_seeds = finished.sum(axis=2)
    missing = np.array([_missing(cube, config) for config in range(len(cube.configs))], dtype=object)
    for group in cube.group_names:
        means, whys, counts = _group_means(cube, group)
        used = np.where(finished, means, 0.0)  # a hole of a finished seed stays NaN and so does the mean
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = used.sum(axis=2) / n_seeds
            spread = np.where(finished, means - mean[:, :, None], 0.0)
            sd = np.sqrt((spread**2).sum(axis=2) / np.where(n_seeds > 1, n_seeds - 1, np.nan))
        smallest = counts[cube.present.any(axis=1)].min(initial=len(cube.categories))
        config, metric = (axis.ravel() for axis in np.indices(mean.shape))
        hole = np.array([_first(row) for row in np.where(finished, whys, "")[config, metric]], dtype=object)
        n_here, mean = np.broadcast_to(n_seeds, mean.shape)[config, metric], mean[config, metric]
        is_baseline = np.array([method == BASELINE for method, _ in cube.configs], dtype=bool)[config]
        blocks.append(
            {
                **_names(cube, group, config, metric),
                "mean": mean,
                "sd": sd[config, metric],
                "n_seeds": n_here,
                "expected_seeds": np.full(len(config), len(cube.seeds)),
                "n_categories": np.full(len(config), smallest),
                "ranked": (n_here == len(cube.seeds)) & ~np.isnan(mean) & ~is_baseline,
                "why": np.where(hole != "", hole, missing[config]),
            }
        )
    rows = {name: np.concatenate([block[name] for block in blocks]) for name in BOARD}
    by_metric = {name: place for place, name in enumerate(cube.metrics)}
    order = np.argsort([by_metric[name] for name in rows["metric"]], kind="stable")
    return {name: column[order] for name, column in rows.items()}


def _group_means(cube: Cube, group: str) -> tuple[Floats, npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Means (config, metric, seed) with NaN for holes, their reasons, and the group's size by seed."""
    members = cube.members(group)
    counts = members.sum(axis=1)
    summed = np.where(members, cube.values, 0.0).sum(axis=3)
    with np.errstate(invalid="ignore"):
        means: Floats = summed / np.where(counts == 0, np.nan, counts)
    whys = np.full(means.shape, "", dtype=object)
    for config, metric, seed in np.argwhere(np.isnan(means)):
        whys[config, metric, seed] = _hole(cube, group, config, metric, seed)
    return means, whys, counts


def _hole(cube: Cube, group: str, config: int, metric: int, seed: int) -> str:
    """Which categories have no value, and why: one sentence."""
    members = cube.members(group)[seed]
    if cube.statuses[config, seed] is None:
        return f"seed {cube.seeds[seed]} has not been run"
    if not members.any():
        return f"the split of seed {cube.seeds[seed]} has no category in the group '{group}'"
    empty = np.flatnonzero(members & np.isnan(cube.values[config, metric, seed]))
    told = {
        "no row in the results" if why is None else why for why in cube.reasons[config, metric, seed, empty]
    }
    reasons = sorted(why or "no reason was recorded" for why in told)
    names = [cube.categories[category] for category in empty]
    if len(names) == members.sum():
        which = f"any of {len(names)} categories"
    else:
        which = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"no value for {which} with seed {cube.seeds[seed]}: {'; '.join(reasons)}"


def _missing(cube: Cube, config: int) -> str:
    """Which of the expected seeds do not count, and why."""
    told = []
    for position, seed in enumerate(cube.seeds):
        status, error = cube.statuses[config, position], cube.errors[config, position]
        if status is None:
            told.append(f"seed {seed} has not been run")
        elif status != str(Status.OK):
            told.append(f"seed {seed} ended with '{status}'" + (f": {error}" if error else ""))
    return "; ".join(told)


def _first(texts: Iterable[str]) -> str:
    """The first text that is not empty, with the number of others that differ."""
    told = Counter(text for text in texts if text)
    if not told:
        return ""
    first = next(iter(told))
    return first if len(told) == 1 else f"{first} (and {len(told) - 1} more)"


def _names(cube: Cube, group: str, config: npt.NDArray[Any], metric: npt.NDArray[Any]) -> dict[str, Any]:
    methods = np.array([name for name, _ in cube.configs], dtype=object)
    digests = np.array([digest for _, digest in cube.configs], dtype=object)
    return {
        "dataset": np.full(len(config), cube.dataset, dtype=object),
        "split": np.full(len(config), cube.split, dtype=object),
        "method": methods[config],
        "config_digest": digests[config],
        "metric": np.array(cube.metrics, dtype=object)[metric],
        "group": np.full(len(config), group, dtype=object),
    }
