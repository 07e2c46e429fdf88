"""Engine that runs cells as tasks of a Ray cluster.

Results and cache lie on a path that all nodes share, or behind a URL.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.benchmark.cell_files import store_failure
from ltbench.benchmark.engines import Options, Watcher
from ltbench.benchmark.engines.local import collect, start
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.processes import Processes
from ltbench.benchmark.resolve import Prepared, Resolver
from ltbench.benchmark.settings import Settings, leave_in_environment
from ltbench.methods.catalog import is_file
from ltbench.results.status import Status
from ltbench.results.store import StoredCell

if TYPE_CHECKING:
    from ltbench.benchmark.cell import Cell

IS_LOCAL = False
NODE_DEATHS = 3
"""Number of restarts of a cell whose node died; a cell's own failures are not retried."""
POLL_SECONDS = 1.0


def run(
    cells: Sequence[Prepared], settings: Settings, options: Options, watcher: Watcher
) -> list[StoredCell]:
    """Run every cell as one task, see `Engine.run`.

    The address of the cluster is --address, LTBENCH_RAY_ADDRESS or RAY_ADDRESS; without one, Ray starts on
    this machine. The driver may be killed and started again: finished cells are in the results folder.
    """
    ray = _connect(settings)
    wanted, shared = _resources(settings), _shared(settings)
    task = ray.remote(**wanted, max_retries=NODE_DEATHS, retry_exceptions=False)(run_here)
    running = {}
    for index, entry in enumerate(cells):
        watcher.started(index)
        running[task.remote(_anywhere(entry.cell), shared, options)] = index
    finished: dict[int, StoredCell] = {}
    try:
        while running:
            ready, _ = ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
            for reference in ready:
                index = running.pop(reference)
                finished[index] = _result(ray, reference, cells[index])
                stored = finished[index]
                watcher.finished(index, stored.status, stored.record.error)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
    return [finished[index] for index in range(len(cells))]


def run_here(cell: Cell, settings: Settings, options: Options) -> StoredCell:
    """Run a cell on the current node, in its own process with the limits of the local engine."""
    leave_in_environment(settings)
    prepared = Resolver(settings).prepare(cell)
    processes = Processes(threads_per_child=max(1, settings.task_cpus))
    child = start(prepared, processes, settings, options)
    try:
        while child.poll():
            child.process.join(POLL_SECONDS / 4)
        return collect(prepared, child, settings)
    finally:
        child.kill()


def _connect(settings: Settings) -> Any:
    """Import Ray and connect to the cluster, or start Ray on this machine."""
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "engine 'ray' needs Ray, which is not installed: pip install 'ltbench[ray]'"
        ) from error
    if not ray.is_initialized():
        address = settings.ray_address or os.environ.get("RAY_ADDRESS")
        try:
            ray.init(
                address=address or None,
                # Without an address, Ray starts here with room for `settings.parallel` cells.
                num_cpus=None if address else settings.parallel * settings.task_cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError) as error:
            raise UsageError(
                f"no Ray cluster answers at '{address}' ({error}): start one with 'ray start --head', or "
                f"leave the "
                "address out to start Ray on this machine"
            ) from error
    return ray


def _shared(settings: Settings) -> Settings:
    """Make paths absolute and the device generic, so that the settings hold on every node."""
    values: dict[str, Any] = {field.name: getattr(settings, field.name) for field in fields(settings)}
    paths = {name: value.absolute() for name, value in values.items() if isinstance(value, Path)}
    # Ray shows a task only the GPU assigned to it.
    device = "cuda" if settings.device.startswith("cuda") else settings.device
    return Settings(**{**values, **paths, "device": device})


def _anywhere(cell: Cell) -> Cell:
    """Make the paths of a cell's data set and method absolute."""
    kind, _, where = cell.dataset.partition(":")
    if kind == "folder":
        cell = replace(cell, dataset=f"folder:{Path(where).absolute()}")
    return replace(cell, method=str(Path(cell.method).absolute())) if is_file(cell.method) else cell


def _resources(settings: Settings) -> dict[str, Any]:
    """Resources of a task."""
    wanted: dict[str, Any] = {"num_cpus": settings.task_cpus}
    if settings.device.startswith("cuda"):
        wanted["num_gpus"] = 1
    if settings.memory_gb:
        wanted["memory"] = int(settings.memory_gb * 1e9)
    return wanted


def _result(ray: Any, reference: Any, entry: Prepared) -> StoredCell:
    """Result of a finished task, or a stored failure if Ray gave it up."""
    try:
        stored: StoredCell = ray.get(reference)
    except ray.exceptions.RayError as error:
        # The node died too often, or the task could not start.
        reason = " ".join(str(error).split())[:300]
        return store_failure(entry, Status.KILLED, f"Ray gave the cell up: {reason}", "")
    # The path of the folder on this machine may differ from the node's.
    return StoredCell(entry.folder, stored.content)
