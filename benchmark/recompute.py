"""Compute metrics from stored scores and maps: no method, no backbone and no GPU is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ltbench.benchmark import metrics, record
from ltbench.benchmark.cell import build_split, cell_of
from ltbench.benchmark.evaluate import evaluate, metric_facts
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import MapPost, Prediction
from ltbench.results.errors import ResultsError
from ltbench.results.schema import CURVES, METRICS, table
from ltbench.results.status import Status
from ltbench.results.store import CURVES_FILE, MAPS_FILE, METRICS_FILE, RECORD, StoredCell
from ltbench.results.writer import rewrite_tables
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.errors import DataMissing
from ltbench.splits.split import Split

NOT_KEPT = "its maps were not kept (--keep-maps all)"


@dataclass(frozen=True)
class Recomputed:
    """Result of computing the metrics of one cell again."""

    cell: StoredCell
    changed: int
    """Values that are new or moved by more than rounding."""
    why_not: str = ""
    """Reason why the cell was left alone; "" if it was not."""


def recompute(cell: StoredCell, settings: Settings, names: Sequence[str] = ()) -> Recomputed:
    """Compute metrics of a stored prediction and replace their rows and the curves.

    A cell whose maps were not kept is left as it is if one of the metrics needs them, and so is one whose
    images are not on this machine.

    Args:
        cell: a finished cell.
        settings: says where the data sets are.
        names: metrics to compute; none = those that the cell has.

    Raises:
        ResultsError: split or data are not those of the cell.
    """
    names = names or own_metrics(cell)
    reason = why_not(cell, names)
    if reason:
        return Recomputed(cell, 0, reason)
    asked = cell_of(cell.record.cell)
    try:
        # As typed: the recorded name of a folder does not say where it is.
        dataset = open_dataset(asked.dataset, settings.data_root)
        dataset.require_pixels()
    except DataMissing as error:
        return Recomputed(cell, 0, str(error))
    split = build_split(asked, dataset)
    _require_same(cell, split, dataset.data_digest())
    return reevaluate(cell, split, dataset, names)


def own_metrics(cell: StoredCell) -> list[str]:
    """The metrics that a cell has and that can be computed here: a plug-in may be missing."""
    return [name for name in metrics.names() if name in cell.record.metrics]


def why_not(cell: StoredCell, names: Sequence[str]) -> str:
    """Reason why these metrics cannot be computed from a cell's stored files, "" if they can."""
    if cell.status is not Status.OK:
        return f"it ended with '{cell.status}'"
    if (cell.folder / MAPS_FILE).exists() or all(metrics.load(name).needs != "maps" for name in names):
        return ""
    return "" if _is_without_maps(cell) else NOT_KEPT


def reevaluate(cell: StoredCell, split: Split, dataset: Dataset, names: Sequence[str]) -> Recomputed:
    """Compute the named metrics of a stored prediction; the rows of other metrics stay.

    `split` and `dataset` are the cell's own.
    """
    reason = why_not(cell, names)
    if reason:
        return Recomputed(cell, 0, reason)
    grids = cell.grids()
    scores = cell.scores()["score"].to_numpy(np.float32)
    post = MapPost(**(cell.record.map_post or {}))
    prediction = Prediction(scores, None if grids is None else np.asarray(grids), post)
    view = cell_of(cell.record.cell).view
    values = list(evaluate(prediction, split, dataset, view, names=names))
    facts = {**cell.content["metrics"], **metric_facts(view, names)}
    facts = dict(sorted(facts.items(), key=lambda item: item[1].get("order", 1000)))
    fresh = {**cell.content, "metrics": facts}
    computed = table(record.metric_rows(fresh, values, Status.OK), METRICS)
    stored = cell.metrics()
    tables = {METRICS_FILE: _joined(stored, computed, facts)}
    if any(facts[name]["curve"] for name in names):
        # The curve belongs to the same maps and recipe as AUPRO: one of each time would contradict the other.
        tables[CURVES_FILE] = table(record.curve_rows(values), CURVES)
    return Recomputed(rewrite_tables(cell, tables, fresh), _changed(stored, computed.to_pandas()))


def _joined(stored: pd.DataFrame, computed: pa.Table, facts: Mapping[str, Any]) -> pa.Table:
    """The computed rows with the stored rows of other metrics, by category and in the order of `facts`."""
    names = set(computed["metric"].to_pylist())
    kept = stored[~stored["metric"].isin(names)]
    if not len(kept):
        return computed
    kept_rows = pa.Table.from_pandas(kept, METRICS, preserve_index=False)
    rows = pa.concat_tables([computed, kept_rows.replace_schema_metadata(METRICS.metadata)])
    categories = {name: place for place, name in enumerate(dict.fromkeys(rows["category"].to_pylist()))}
    order = {name: place for place, name in enumerate(facts)}
    places = zip(rows["category"].to_pylist(), rows["metric"].to_pylist(), strict=True)
    keys = [(categories[category], order[metric]) for category, metric in places]
    return rows.take(sorted(range(len(keys)), key=keys.__getitem__))


def _changed(before: pd.DataFrame, after: pd.DataFrame) -> int:
    key = ["category", "metric"]
    new = after.set_index(key)["value"]
    old = before.set_index(key)["value"].reindex(new.index)
    return int((~np.isclose(old, new, rtol=0, atol=1e-12, equal_nan=True)).sum())


def _is_without_maps(cell: StoredCell) -> bool:
    """Whether the cell's method made no maps, so that its metrics of maps are recorded without a value."""
    needing = [name for name, facts in cell.record.metrics.items() if facts.needs == "maps"]
    rows = cell.metrics()
    values = rows.loc[rows["metric"].isin(needing), "value"]
    return len(values) > 0 and bool(values.isna().all())


def _require_same(cell: StoredCell, split: Split, data_digest: str) -> None:
    same = cell.record.identity
    for what, recorded, found in (
        ("split", same.split_digest, split.digest),
        ("data", same.data_digest, data_digest),
    ):
        if recorded != found:
            raise ResultsError(
                f"'{cell.folder / RECORD}' belongs to {what} {recorded[:12]}, here is {found[:12]}: "
                "recompute on the data it was made with"
            )
