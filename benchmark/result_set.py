"""Finished cells as tables and arrays, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.maps import MapsOfGrids
from ltbench.methods.base import MapPost
from ltbench.results.store import StoredCell, rows_of

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

PER_CLASS = (
    "dataset", "split", "seed", "method", "config_digest", "category", "group", "metric", "value", "why",
    "status",
)  # fmt: skip
"""Columns of `Results.per_class`."""


class Results:
    """Finished cells: one method on one split with one seed each."""

    def __init__(self, cells: Sequence[StoredCell], keep_alive: object = None) -> None:
        self.cells = list(cells)
        """Folder and record of each cell."""
        self._keep_alive = keep_alive

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        identities = [cell.record.identity for cell in self.cells]
        methods = sorted({same.method for same in identities})
        splits = sorted({f"{same.dataset}/{same.split}" for same in identities})
        return f"<Results: {len(self)} cells, methods {', '.join(methods)}, splits {', '.join(splits)}>"

    def select(
        self,
        *,
        split: str | None = None,
        dataset: str | None = None,
        method: str | None = None,
        seed: int | None = None,
    ) -> Results:
        """The cells of a split, data set, method or seed, by their stored names; UsageError if none."""
        kept = self.cells
        asked = {"split": split, "dataset": dataset, "method": method, "seed": seed}
        for name, wanted in asked.items():
            if wanted is None:
                continue
            known = {getattr(cell.record.identity, name) for cell in kept}
            if wanted not in known:
                raise UsageError(
                    f"no results of {name} '{wanted}': expected one of {', '.join(map(str, sorted(known)))}"
                )
            kept = [cell for cell in kept if getattr(cell.record.identity, name) == wanted]
        return Results(kept, self._keep_alive)

    def per_class(self, split: str | None = None, dataset: str | None = None) -> pd.DataFrame:
        """One row per cell, category and metric; columns PER_CLASS.

        Values are fractions of 1, or in the metric's own unit; one that could not be computed is NaN, and
        `why` says why.
        """
        return rows_of(self.select(split=split, dataset=dataset).cells)[list(PER_CLASS)]

    def leaderboard(
        self, split: str | None = None, dataset: str | None = None, *, group: str = "all"
    ) -> pd.DataFrame:
        """One row per method and configuration, the best by the first metric on top of its split.

        Args:
            split: name of the split as it is stored, "pareto"; None = all.
            dataset: name of the data set; None = all.
            group: mean over the categories of this group of the split, "head" or "tail"; "all" = every one.

        Returns:
            Columns dataset, split, method, config_digest, seeds (number in the mean), one column per metric
            with the mean over categories, then over seeds, and `why` for values that are missing.

        Raises:
            ResultsError: the cells cannot stand in one table, e.g. as their splits differ.
        """
        from ltbench.reports.aggregate import board

        cells = self.select(split=split, dataset=dataset).cells
        rows = board(rows_of(cells))
        known = list(dict.fromkeys(rows["group"]))
        if len(rows) and group not in known:
            raise UsageError(f"no results of group '{group}': expected one of {', '.join(known)}")
        rows = rows[rows["group"] == group].rename(columns={"n_seeds": "seeds"})
        metrics = list(dict.fromkeys(rows["metric"]))
        key = ["dataset", "split", "method", "config_digest", "seeds"]
        table = rows.pivot(index=key, columns="metric", values="mean")[metrics]
        table["why"] = rows.groupby(key)["why"].agg(_joined)
        table = table.reset_index().rename_axis(columns=None)
        facts = [fact for cell in cells for fact in cell.record.metrics.items()]
        lower_is_better = {name for name, fact in facts if not fact.higher_is_better}
        first = metrics[:1]
        ascending = [True, True, *(name in lower_is_better for name in first)]
        return table.sort_values(["dataset", "split", *first], ascending=ascending, ignore_index=True)

    @property
    def scores(self) -> Mapping[int, pd.DataFrame]:
        """Table of the test images by seed: key, category, defect, label, injected, score.

        Raises UsageError where the cells are of more than one method, configuration or split.
        """
        return _BySeed(self.cells, StoredCell.scores)

    @property
    def maps(self) -> Mapping[int, npt.NDArray[np.float32] | None]:
        """Anomaly maps (N, H, W) by seed, in the order of `scores`; made when they are looked up.

        None where the method does not localise, or where its maps were too large to be kept. Raises
        UsageError as `scores` does.
        """
        return _BySeed(self.cells, _maps)


def _joined(reasons: Iterable[str]) -> str:
    """Different reasons in one text."""
    return "; ".join(dict.fromkeys(filter(None, reasons)))


class _BySeed(Mapping[int, T]):
    """Reads a cell's files when its seed is looked up."""

    def __init__(self, cells: Sequence[StoredCell], read: Callable[[StoredCell], T]) -> None:
        self._cells = {cell.record.identity.seed: cell for cell in cells}
        self._read = read
        if len(self._cells) != len(cells):
            raise UsageError(
                f"these are {len(cells)} cells of {len(self._cells)} seeds: choose one method, configuration "
                "and split, e.g. results.select(method='patchcore', split='pareto')"
            )

    def __getitem__(self, seed: int) -> T:
        return self._read(self._cells[seed])

    def __iter__(self) -> Iterator[int]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


def _maps(cell: StoredCell) -> npt.NDArray[np.float32] | None:
    grids = cell.grids()
    if grids is None:
        return None
    post = MapPost(**(cell.record.map_post or {}))
    return np.asarray(MapsOfGrids(np.asarray(grids), cell.record.cell.view.crop, post))
