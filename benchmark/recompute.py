"""Metrics again from stored scores and maps: a new recipe or a fix needs no method, no backbone, no GPU."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import numpy as np

from ltbench.benchmark import record
from ltbench.benchmark.cell import Cell, build_split
from ltbench.benchmark.evaluate import evaluate, metric_facts
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import MapPost, Prediction, View
from ltbench.results.errors import ResultsError
from ltbench.results.schema import CURVES, METRICS, table
from ltbench.results.status import Status
from ltbench.results.store import CURVES_FILE, MAPS_FILE, METRICS_FILE, RECORD, StoredCell, rewrite_tables
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.errors import DataMissing
from ltbench.splits.split import Split


@dataclass(frozen=True)
class Recomputed:
    """What became of one cell."""

    cell: StoredCell
    changed: int
    """Values that moved by more than rounding."""
    why_not: str = ""
    """Why nothing was done; "" otherwise."""


def recompute(cell: StoredCell, settings: Settings) -> Recomputed:
    """Evaluate a stored prediction anew and replace the cell's rows and curves.

    A cell whose maps were not kept is left as it is, since its pixel metrics would be lost, and so is one
    whose images are not at hand. Raises ResultsError where split or data are not those of the cell.
    """
    reason = why_not(cell)
    if reason:
        return Recomputed(cell, 0, reason)
    same = cell.record["identity"]
    try:
        dataset = open_dataset(_typed_dataset(cell), settings.data_root)
        dataset.require_pixels()
    except DataMissing as error:
        return Recomputed(cell, 0, str(error))
    split = _split(cell, dataset)
    _require_same(cell, split, dataset.data_digest())
    return reevaluate(cell, split, dataset, _view(same["view"]))


def why_not(cell: StoredCell) -> str:
    """Why a cell's values cannot be computed anew from what it stored, "" if they can."""
    if cell.status is not Status.OK:
        return f"it ended with '{cell.status}'"
    if not (cell.folder / MAPS_FILE).exists() and _has_pixel_values(cell):
        return "its maps were not kept (--keep-maps all)"
    return ""


def reevaluate(cell: StoredCell, split: Split, dataset: Dataset, view: View) -> Recomputed:
    """Replace a cell's rows and curves by what its stored prediction says now.

    `split` and `dataset` are the cell's own.
    """
    reason = why_not(cell)
    if reason:
        return Recomputed(cell, 0, reason)
    grids = cell.grids()
    scores = cell.scores()["score"].to_numpy(np.float32)
    post = MapPost(**cell.record["map_post"])
    prediction = Prediction(scores, None if grids is None else np.asarray(grids), post)
    values = list(evaluate(prediction, split, dataset, view))
    fresh = {**cell.record, "metrics": metric_facts(view)}
    rows = table(record.metric_rows(fresh, values, Status.OK), METRICS)
    # The curve belongs to the same maps and recipe as AUPRO: one of each time would contradict the other.
    curves = table(record.curve_rows(values), CURVES)
    before = cell.metrics().set_index(["category", "metric"])["value"]
    after = rows.to_pandas().set_index(["category", "metric"])["value"]
    both = before.reindex(after.index)
    changed = int((~np.isclose(both, after, rtol=0, atol=1e-12, equal_nan=True)).sum())
    return Recomputed(rewrite_tables(cell, {METRICS_FILE: rows, CURVES_FILE: curves}, fresh), changed)


def _has_pixel_values(cell: StoredCell) -> bool:
    rows = cell.metrics()
    pixel = rows["metric"].str.startswith(("pixel_", "aupro"))
    return bool(rows.loc[pixel, "value"].notna().any())


def _view(text: str) -> View:
    resize, crop = text.removeprefix("resize").removeprefix("squeeze").split("-crop")
    return View(int(resize), int(crop), squeeze=text.startswith("squeeze"))


def _split(cell: StoredCell, dataset: Dataset) -> Split:
    same = cell.record["identity"]
    recipe, cut, limit = str(same["split"]).rpartition("-limit")
    asked = Cell(
        dataset.name, recipe if cut else limit, same["seed"], same["method"],
        overlap=same["overlap_policy"], limit=int(limit) if cut else None,
    )  # fmt: skip
    return build_split(asked, dataset)


def _typed_dataset(cell: StoredCell) -> str:
    """The data set as it was typed: the recorded name of a folder does not say where it is."""
    words = shlex.split(str(cell.record["command"]))
    return words[words.index("--dataset") + 1]


def _require_same(cell: StoredCell, split: Split, data_digest: str) -> None:
    same = cell.record["identity"]
    for what, recorded, found in (
        ("split", same["split_digest"], split.digest),
        ("data", same["data_digest"], data_digest),
    ):
        if recorded != found:
            raise ResultsError(
                f"'{cell.folder / RECORD}' belongs to {what} {recorded[:12]}, here is {found[:12]}: "
                "recompute on the data it was made with"
            )
