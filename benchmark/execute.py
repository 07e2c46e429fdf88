"""Run one cell from its name to its record: the table of contents of a measurement."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ltbench.benchmark.cell_files import cell_lock, start_record, write_gallery, write_measurement
from ltbench.benchmark.kept_maps import KeptMaps
from ltbench.benchmark.label_correction import rank_training
from ltbench.benchmark.measure import measure
from ltbench.benchmark.recompute import reevaluate
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import Progress, no_progress
from ltbench.results.ranking import has_ranking
from ltbench.results.status import Status
from ltbench.results.store import Store, StoredCell
from ltbench.results.writer import CellWriter

if TYPE_CHECKING:
    from ltbench.methods.features.cache import FeatureCache


def execute(
    prepared: Prepared,
    settings: Settings,
    *,
    cache: FeatureCache | None = None,
    progress: Progress = no_progress,
    keep_maps: KeptMaps = "small",
    rank: bool = False,
    force: bool = False,
    machine: Mapping[str, Any] | None = None,
) -> StoredCell:
    """Fit, score, evaluate and store one cell; return the stored one if another process was faster.

    If only metric recipes have changed since and the maps were kept, the values alone are made anew.
    `machine` is `environment()` if the caller has it. Raises whatever the method raises: isolation and
    failure rows are the engine's business.
    """
    with cell_lock(prepared.folder, settings):
        stored = None if force else _answer(prepared, settings, rank)
        if stored is not None:
            return stored
        facts = start_record(prepared, settings.device, machine)
        writer = CellWriter(prepared.folder, facts)
        measured = measure(prepared, settings, cache, progress)
        facts |= measured.facts
        write_measurement(writer, facts, prepared, measured, keep_maps)
        if rank:
            facts["label_correction"] = rank_training(
                measured.method, prepared, measured.context, writer, settings.results
            )
        facts["gallery"] = write_gallery(writer, prepared, measured, settings.results)
        if cache is not None:
            facts["cache"] = asdict(cache.stats())
        finished = writer.finish({**facts, "status": str(Status.OK), "error": ""})
        # Checkpoints served a cell that might be killed.
        shutil.rmtree(measured.context.work, ignore_errors=True)
        return finished


def _answer(prepared: Prepared, settings: Settings, rank: bool) -> StoredCell | None:
    """The stored answer, measured by the recipes of today; None if the cell has to run."""
    stored = prepared.answer(Store(settings.results))
    if stored is None or stored.status is not Status.OK or (rank and not has_ranking(stored)):
        return None
    names = prepared.to_measure(stored)
    if not names:
        return stored
    again = reevaluate(stored, prepared.split, prepared.dataset, names)
    return None if again.why_not else again.cell
