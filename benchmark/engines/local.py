"""Cells on this machine, each in a process of its own, several at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.engines import Options, Watcher
from benchmark.execute import Prepared, store_failure
from benchmark.processes import Child, Processes
from benchmark.settings import Settings
from benchmark.worker import run_cell
from results.status import Status
from results.store import LOG_FILE, Store, StoredCell

LOOK_EVERY_SECONDS = 0.05


@dataclass
class _Running:
    index: int
    child: Child


def run(
    cells: Sequence[Prepared], settings: Settings, options: Options, watcher: Watcher
) -> list[StoredCell]:
    """Run every cell, `settings.parallel` at a time; a cell that fails is a stored row, not an exception."""
    parallel = max(1, min(settings.parallel, len(cells)))
    processes = Processes(threads_per_child=max(1, (os.cpu_count() or 1) // parallel))
    waiting = list(range(len(cells)))
    running: list[_Running] = []
    finished: dict[int, StoredCell] = {}
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                index = waiting.pop(0)
                watcher.started(index)
                running.append(_Running(index, start(cells[index], processes, settings, options)))
            for entry in [entry for entry in running if not entry.child.poll()]:
                running.remove(entry)
                stored = collect(cells[entry.index], entry.child, settings)
                finished[entry.index] = stored
                watcher.finished(entry.index, stored.status, stored.record["error"])
            for entry in running:
                step = entry.child.advanced
                if step is not None:
                    watcher.progressed(entry.index, step.stage, step.done, step.total)
            time.sleep(LOOK_EVERY_SECONDS)
    finally:
        # On Ctrl-C or a full disk: nobody stays behind. Their cells stay "started, not finished".
        for entry in running:
            entry.child.kill()
    return [finished[index] for index in range(len(cells))]


def start(cell: Prepared, processes: Processes, settings: Settings, options: Options) -> Child:
    """Start the cell in a process of its own."""
    return processes.start(
        run_cell,
        (cell.cell, settings, options),
        log=cell.folder / LOG_FILE,
        timeout=settings.timeout,
        memory_gb=settings.memory_gb,
    )


def collect(cell: Prepared, child: Child, settings: Settings) -> StoredCell:
    """What the ended process has left: its result, or a row that says how it failed."""
    ended = child.result()
    if ended.status is Status.OK:
        stored = Store(settings.results).find(cell.folder)
        if stored is not None:
            return stored
        return store_failure(cell, Status.ERROR, "the finished cell's files are damaged", child.log.tail())
    return store_failure(cell, ended.status, ended.error, child.log.tail())
