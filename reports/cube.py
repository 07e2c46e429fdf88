"""Result rows as dense arrays: methods x metrics x seeds x categories of one data set and split."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ltbench.results.errors import ResultsError
from ltbench.results.status import Status

Floats = npt.NDArray[np.float64]

ALL = "all"
"""The group of every category."""
GROUP_ORDER = ("tail", "low", "head", "high")
"""Rare categories first, as the papers' tables have it."""
Asked = Mapping[tuple[str, str], Collection[int]]
"""Seeds that a suite requests, by (data set, split)."""


@dataclass(frozen=True, eq=False)
class Cube:
    """All rows of one data set and split; every array is dense, a missing row is NaN."""

    dataset: str
    split: str
    configs: tuple[tuple[str, str], ...]
    """(method, configuration digest), sorted."""
    metrics: tuple[str, ...]
    seeds: tuple[int, ...]
    """Requested seeds; the seeds found if no suite requests any."""
    categories: tuple[str, ...]
    groups: npt.NDArray[np.str_]
    """(seed, category): "head", "tail" ...; "" for none."""
    present: npt.NDArray[np.bool_]
    """(seed, category): the split of this seed has the category."""
    values: Floats
    """(config, metric, seed, category), 0..1."""
    reasons: npt.NDArray[np.object_]
    """(config, metric, seed, category): why there is no value; None without a row."""
    statuses: npt.NDArray[np.object_]
    """(config, seed): how the cell ended, None if it was never run."""
    errors: npt.NDArray[np.object_]
    """(config, seed): the error's one line."""

    @property
    def group_names(self) -> tuple[str, ...]:
        """Groups of any seed in a table's order, "all" last."""
        found = set(np.unique(self.groups[self.present])) - {""}
        known = [name for name in GROUP_ORDER if name in found]
        return (*known, *sorted(found - set(known)), ALL)

    @property
    def finished(self) -> npt.NDArray[np.bool_]:
        """Whether each cell finished without error, (config, seed)."""
        return np.asarray(self.statuses == str(Status.OK), dtype=bool)

    def members(self, group: str) -> npt.NDArray[np.bool_]:
        """(seed, category): which categories are in the group."""
        return self.present if group == ALL else self.present & (self.groups == group)


def cubes(frame: pd.DataFrame, asked: Asked | None = None) -> Iterator[Cube]:
    """One cube per data set and split, sorted by name; rows of seeds that no suite requests are left out.

    Raises ResultsError where two rows claim the same place.
    """
    for (dataset, split), rows in frame.groupby(["dataset", "split"], sort=True):
        yield _cube(str(dataset), str(split), rows, (asked or {}).get((str(dataset), str(split))))


def _cube(dataset: str, split: str, rows: pd.DataFrame, asked: Collection[int] | None) -> Cube:
    seeds = tuple(sorted(int(seed) for seed in (rows["seed"].unique() if asked is None else set(asked))))
    # A method that ran other seeds only keeps its line, without a value.
    config_names = pd.MultiIndex.from_frame(rows[["method", "config_digest"]]).unique().sort_values()
    rows = rows[rows["seed"].isin(seeds)]
    config_at = config_names.get_indexer(pd.MultiIndex.from_frame(rows[["method", "config_digest"]]))
    metric_at, metric_names = pd.factorize(rows["metric"])
    category_at, category_names = pd.factorize(rows["category"], sort=True)
    seed_at = np.searchsorted(seeds, rows["seed"].to_numpy(dtype=np.int64))
    shape = (len(config_names), len(metric_names), len(seeds), len(category_names))
    at = (config_at, metric_at, seed_at, category_at)
    _refuse_doubles(
        dataset, split, rows, sum(axis * int(np.prod(shape[i + 1 :])) for i, axis in enumerate(at))
    )
    values = np.full(shape, np.nan)
    values[at] = rows["value"].to_numpy(dtype=np.float64, na_value=np.nan)
    reasons = np.full(shape, None, dtype=object)
    reasons[at] = rows["why"].fillna("").to_numpy(dtype=object)
    groups = np.full(shape[2:], "", dtype=object)
    group = rows["group"].fillna("").to_numpy(dtype=object)
    told = group != ""
    groups[seed_at[told], category_at[told]] = group[told]
    present = np.zeros(shape[2:], dtype=bool)
    present[seed_at, category_at] = True
    statuses, errors = (np.full((shape[0], shape[2]), None, dtype=object) for _ in range(2))
    statuses[config_at, seed_at] = rows["status"].fillna(str(Status.OK)).to_numpy(dtype=object)
    errors[config_at, seed_at] = rows["error"].fillna("").to_numpy(dtype=object)
    return Cube(
        dataset=dataset,
        split=split,
        configs=tuple((str(method), str(digest)) for method, digest in config_names),
        metrics=tuple(str(name) for name in metric_names),
        seeds=seeds,
        categories=tuple(str(name) for name in category_names),
        groups=groups.astype(str),
        present=present,
        values=values,
        reasons=reasons,
        statuses=statuses,
        errors=errors,
    )


def _refuse_doubles(dataset: str, split: str, rows: pd.DataFrame, place: npt.NDArray[np.int64]) -> None:
    first = np.unique(place, return_index=True)[1]
    if len(first) == len(place):
        return
    double = rows.iloc[int(np.setdiff1d(np.arange(len(place)), first)[0])]
    raise ResultsError(
        f"two rows give {double['metric']} of '{double['category']}' for method '{double['method']}', "
        f"configuration '{double['config_digest']}', data set '{dataset}', split '{split}', "
        f"seed {double['seed']}: expected one; keep one of the two cells"
    )
