"""Write the files of a cell: its start, its measurement, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from filelock import FileLock

from ltbench.benchmark import gallery, record
from ltbench.benchmark.device import accelerator
from ltbench.benchmark.kept_maps import KeptMaps, are_kept
from ltbench.benchmark.measure import Measurement
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.settings import Settings
from ltbench.results.places import Place, below
from ltbench.results.schema import CURVES, METRICS, SCORES, table
from ltbench.results.status import Status
from ltbench.results.store import CURVES_FILE, MAPS_FILE, METRICS_FILE, SCORES_FILE, StoredCell
from ltbench.results.writer import CellWriter


def cell_lock(folder: Place, settings: Settings) -> FileLock:
    """Lock of a cell, so that two runs on one machine do it once, also where results are behind a URL."""
    locks = settings.local(settings.results) / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / below(folder, settings.results).replace("/", "-"))


def start_record(prepared: Prepared, device: str, machine: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is known before the cell runs; `machine` is `environment()` if the caller has it."""
    base = record.base_record(prepared.cell, prepared.dataset, prepared.split, prepared.facts, machine)
    base["environment"]["accelerator"] = accelerator(device)
    return base


def write_measurement(
    writer: CellWriter, base: Mapping[str, Any], prepared: Prepared, measured: Measurement, keep: KeptMaps
) -> None:
    """Write values, scores and curves, and the patch score grids if `keep` is set so."""
    prediction, values = measured.prediction, measured.values
    writer.write_table(METRICS_FILE, table(record.metric_rows(base, values, Status.OK), METRICS))
    writer.write_table(SCORES_FILE, table(record.score_rows(prepared.split, prediction), SCORES))
    if curves := record.curve_rows(values):
        writer.write_table(CURVES_FILE, table(curves, CURVES))
    if prediction.grids is not None and are_kept(np.shape(prediction.grids), keep):
        writer.write_array(MAPS_FILE, np.asarray(prediction.grids, dtype=np.float32))


def write_gallery(
    writer: CellWriter, prepared: Prepared, measured: Measurement, results: Place
) -> list[Mapping[str, Any]]:
    """Write the pictures of a report and their grids if the licence allows it; return their facts."""
    if not prepared.dataset.gallery_allowed:
        return []
    chosen = gallery.choose(prepared.split)
    facts = gallery.store_pictures(chosen, prepared.dataset, prepared.cell.view, results)
    grids = measured.prediction.grids
    if grids is not None:
        position = {image.key: index for index, image in enumerate(prepared.split.test)}
        writer.write_gallery({image.key: grids[position[image.key]] for image in chosen})
    return list(facts)


def store_failure(prepared: Prepared, status: Status, error: str, log_tail: str) -> StoredCell:
    """Write the record and null rows of a cell whose process did not come back with an answer."""
    base = record.base_record(prepared.cell, prepared.dataset, prepared.split, prepared.facts)
    writer = CellWriter(prepared.folder, base)
    values = record.failed_values(base, status)
    writer.write_table(METRICS_FILE, table(record.metric_rows(base, values, status, error), METRICS))
    return writer.finish({**base, "status": str(status), "error": error, "log_tail": log_tail})
