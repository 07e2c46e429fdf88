"""Engine that runs cells on this machine, each in its own process, several at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from ltbench.benchmark.cell_files import store_failure
from ltbench.benchmark.engines import Options, Watcher
from ltbench.benchmark.journal import JOURNAL_FILE, Journal
from ltbench.benchmark.processes import Child, Processes
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.settings import Settings
from ltbench.benchmark.worker import Known, run_cell
from ltbench.methods.catalog import METHODS
from ltbench.results.environment import environment
from ltbench.results.files import write_bytes
from ltbench.results.places import RemotePath
from ltbench.results.status import Status
from ltbench.results.store import LOG_FILE, Store, StoredCell

IS_LOCAL = True
POLL_SECONDS = 0.05


@dataclass
class _Running:
    index: int
    child: Child


def run(
    cells: Sequence[Prepared], settings: Settings, options: Options, watcher: Watcher
) -> list[StoredCell]:
    """Run every cell, `settings.parallel` at a time, see `Engine.run`."""
    parallel = max(1, min(settings.parallel, len(cells)))
    threads = settings.threads_of(parallel)
    processes = Processes(threads_per_child=threads, also=_modules(cells))
    machine = environment()
    waiting = list(range(len(cells)))
    running: list[_Running] = []
    finished: dict[int, StoredCell] = {}
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                index = waiting.pop(0)
                watcher.started(index)
                running.append(_Running(index, start(cells[index], processes, settings, options, machine)))
            for entry in [entry for entry in running if not entry.child.poll()]:
                running.remove(entry)
                stored = collect(cells[entry.index], entry.child, settings)
                finished[entry.index] = stored
                watcher.finished(entry.index, stored.status, stored.record.error)
            for entry in running:
                step = entry.child.advanced
                if step is not None:
                    watcher.progressed(entry.index, step.stage, step.done, step.total)
            wait([entry.child.process.sentinel for entry in running], timeout=POLL_SECONDS)
    finally:
        # On Ctrl-C or a full disk no process is left running; its cell stays "started, not finished".
        for entry in running:
            entry.child.kill()
    return [finished[index] for index in range(len(cells))]


def start(
    cell: Prepared,
    processes: Processes,
    settings: Settings,
    options: Options,
    machine: Mapping[str, Any] | None = None,
) -> Child:
    """Start a cell in its own process.

    Args:
        cell: Cell to run.
        processes: Launcher of child processes.
        settings: Settings of the machine.
        options: Options of the run.
        machine: Description of the machine; None = `environment()`.
    """
    known = Known(cell.facts.weights_digest, cell.facts.config_digest, machine or environment())
    folder = settings.local(cell.folder)
    return processes.start(
        run_cell,
        (cell.cell, settings, options, known),
        log=folder / LOG_FILE,
        journal=Journal(folder / JOURNAL_FILE),
        timeout=settings.timeout,
        memory_gb=settings.memory_gb,
    )


def _modules(cells: Sequence[Prepared]) -> list[str]:
    """Modules of the cells' data sets and methods, imported once for all processes."""
    datasets = {f"ltbench.splits.datasets.{entry.cell.dataset.partition(':')[0]}" for entry in cells}
    methods = {f"ltbench.methods.{name}" for entry in cells if METHODS.is_built_in(name := entry.cell.method)}
    return sorted(datasets | methods)


def collect(cell: Prepared, child: Child, settings: Settings) -> StoredCell:
    """Read the result that an ended process stored, or store how it failed."""
    ended = child.result()
    _put_log(cell, settings)
    if ended.status is Status.OK:
        stored = Store(settings.results).settled(cell.folder)
        if stored is not None:
            return stored
        return store_failure(cell, Status.ERROR, "the finished cell's files are damaged", child.log.tail())
    return store_failure(cell, ended.status, ended.error, child.log.tail())


def _put_log(cell: Prepared, settings: Settings) -> None:
    """Upload the log of a cell whose folder is behind a URL, since it was written on this machine."""
    if not isinstance(cell.folder, RemotePath):
        return
    for name in (LOG_FILE, JOURNAL_FILE):
        log = settings.local(cell.folder) / name
        if log.exists():
            write_bytes(cell.folder / name, log.read_bytes())
            log.unlink()
