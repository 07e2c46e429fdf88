"""Uncertainty of every mean from the choice of test images: intervals over resampled images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ltbench.atomic_files import write_atomically
from ltbench.reports.cube import Cube, Floats
from ltbench.reports.statistics.image_metrics import IMAGE_METRICS
from ltbench.reports.statistics.intervals import image_intervals
from ltbench.reports.statistics.resampling import Bools, Draws
from ltbench.results.places import Place
from ltbench.results.status import Status
from ltbench.results.store import SCORES_FILE, StoredCell

CACHE_FILE = ".image-intervals.parquet"
"""In the results folder: a resampled cell is not resampled again until its scores change."""
_COLUMNS = ("scores", "category", "metric", "ci_low", "ci_high")
Ends = Mapping[str, Mapping[tuple[str, str], tuple[float, float]]]
"""Digest of a cell's scores -> (category, metric) -> both ends, 0..1."""


def image_ends(
    root: Place, cells: Sequence[StoredCell], told: Callable[[int, int], None] | None = None
) -> Ends:
    """95 % intervals over test images of every finished cell whose scores are stored.

    `told` is called with (cells resampled, cells to resample). What was found is kept in CACHE_FILE below
    `root`, where that can be written.
    """
    known = _cached(root)
    wanted = {digest: cell for cell in cells if (digest := _scores_digest(cell))}
    missing = [digest for digest in wanted if digest not in known]
    draws = Draws()
    for number, digest in enumerate(missing):
        if told is not None:
            told(number, len(missing))
        known[digest] = _of_cell(wanted[digest], draws)
    if missing:
        _keep(root, known)
    return {digest: known[digest] for digest in wanted}


def of_cell(ends: Ends, cell: StoredCell) -> Mapping[tuple[str, str], tuple[float, float]]:
    """Intervals by (category, metric); empty if no scores are stored."""
    return ends.get(_scores_digest(cell), {})


def _scores_digest(cell: StoredCell) -> str:
    if cell.status is not Status.OK:
        return ""
    return cell.record.files.get(SCORES_FILE, "")


def _of_cell(cell: StoredCell, draws: Draws) -> dict[tuple[str, str], tuple[float, float]]:
    found = image_intervals(cell.scores(), draws)
    return {
        (row.category, row.metric): (float(row.ci_low), float(row.ci_high))
        for row in found.itertuples(index=False)
        if np.isfinite(row.ci_low)
    }


def _cached(root: Place) -> dict[str, dict[tuple[str, str], tuple[float, float]]]:
    if not isinstance(root, Path):
        return {}
    try:
        frame = pd.read_parquet(root / CACHE_FILE)
    except (OSError, ValueError):
        return {}
    if tuple(frame.columns) != _COLUMNS:
        return {}
    known: dict[str, dict[tuple[str, str], tuple[float, float]]] = {}
    for scores, category, metric, low, high in frame.itertuples(index=False):
        cell = known.setdefault(scores, {})
        if category:
            cell[category, metric] = (low, high)
    return known


def _keep(root: Place, known: Ends) -> None:
    if not isinstance(root, Path):
        return
    rows = [
        (scores, category, metric, low, high)
        for scores, cell in known.items()
        # A cell without any interval is remembered too.
        for (category, metric), (low, high) in (cell or {("", ""): (np.nan, np.nan)}).items()
    ]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    try:
        write_atomically(root / CACHE_FILE, lambda file: frame.to_parquet(file, index=False))
    except OSError:
        # A results folder that cannot be written is resampled at every build.
        return


def interval_arrays(
    cube: Cube, cells: Mapping[tuple[tuple[str, str], int], Mapping[tuple[str, str], tuple[float, float]]]
) -> tuple[Floats, Floats]:
    """Both ends in the shape of `cube.values`, NaN where there are none; `cells` is by (config, seed)."""
    low, high = np.full(cube.values.shape, np.nan), np.full(cube.values.shape, np.nan)
    metrics = [(at, name) for at, name in enumerate(cube.metrics) if name in IMAGE_METRICS]
    for c, config in enumerate(cube.configs):
        for s, seed in enumerate(cube.seeds):
            ends = cells.get((config, seed))
            if not ends:
                continue
            for m, metric in metrics:
                for k, category in enumerate(cube.categories):
                    if (category, metric) in ends:
                        low[c, m, s, k], high[c, m, s, k] = ends[category, metric]
    return low, high


def category_ends(values: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Ends of means over seeds from (seeds, categories): the seeds' ends, averaged.

    Every seed is judged by the same test images, so their errors do not average out: nothing is gained.
    """
    lacks = np.isnan(values) | np.isnan(low)
    below, above = np.where(lacks, np.nan, low), np.where(lacks, np.nan, high)
    return below.mean(axis=0), above.mean(axis=0)


def group_ends(values: Floats, low: Floats, high: Floats, members: Bools) -> tuple[float, float]:
    """Interval of a mean over the categories of a group and over seeds; arrays are (seeds, categories).

    Categories share no image, so their distances to the ends add up as squares (MOVER: Zou and Donner,
    Statistics in Medicine 2008); seeds share the images, so their ends are averaged. NaN if one is missing.
    """
    below, above = [], []
    for value, first, last, member in zip(values, low, high, members, strict=True):
        count = int(member.sum())
        if not count:
            return np.nan, np.nan
        mean = value[member].mean()
        below.append(mean - np.sqrt(np.sum((value[member] - first[member]) ** 2)) / count)
        above.append(mean + np.sqrt(np.sum((last[member] - value[member]) ** 2)) / count)
    if not below:
        return np.nan, np.nan
    return max(0.0, float(np.mean(below))), min(1.0, float(np.mean(above)))
