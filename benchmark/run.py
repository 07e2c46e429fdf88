"""From a list of cells to stored results: look up, leave out what is done, run the rest."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal

from ltbench.benchmark import engines, rates
from ltbench.benchmark.calibration import measured
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.device import require_device
from ltbench.benchmark.embed import Embedded, embed
from ltbench.benchmark.engines import Options, Watcher
from ltbench.benchmark.errors import BenchmarkError, CellsImpossible
from ltbench.benchmark.recompute import why_not
from ltbench.benchmark.resolve import Prepared, Resolver
from ltbench.benchmark.retry import Retry
from ltbench.benchmark.settings import Settings
from ltbench.methods.errors import WeightsMissing
from ltbench.results.errors import ResultsError
from ltbench.results.places import below
from ltbench.results.ranking import has_ranking
from ltbench.results.runs import sum_of, write_run
from ltbench.results.status import Status
from ltbench.results.store import Store, StoredCell
from ltbench.splits.errors import DataMissing

State = Literal["done", "to run", "recompute"]


@dataclass(frozen=True)
class PlannedCell:
    """Cell of a plan, with its stored results."""

    prepared: Prepared
    stored: StoredCell | None
    """Finished cell of the same identity, whatever its status."""
    outdated: StoredCell | None = None
    """Finished cell that lacks metrics or has other recipes of them, but the files to compute them from."""
    lacks: str = ""
    """Metrics that the stored cell lacks, and why they cannot be computed from its files; "" = none."""

    def to_run(self, *, force: bool, retry: Retry, rank_training: bool = False) -> bool:
        return self.state(force=force, retry=retry, rank_training=rank_training) != "done"

    def state(self, *, force: bool, retry: Retry, rank_training: bool = False) -> State:
        """Step that a run with these options takes for this cell."""
        if force:
            return "to run"
        answer = self.stored or self.outdated
        if answer is None:
            return "to run"
        if answer.status is not Status.OK:
            return "to run" if retry.wants(answer.status) else "done"
        if rank_training and not has_ranking(answer):
            return "to run"
        return "done" if self.stored is not None else "recompute"


@dataclass
class Outcome:
    """Finished, reused and failed cells of a run."""

    cells: list[StoredCell] = field(default_factory=list)
    """One stored cell per requested cell, in order."""
    reused: int = 0
    """Cells that were finished before."""

    @property
    def failed(self) -> list[StoredCell]:
        return [cell for cell in self.cells if cell.status is not Status.OK]


@dataclass(frozen=True)
class Plan:
    """Cells that can run or are done, and those that cannot."""

    cells: list[PlannedCell]
    impossible: Mapping[str, Sequence[Cell]]
    """Cells that cannot run, by reason: weights or auxiliary data that are not on this machine."""

    def require_metrics(self, outcome: Outcome) -> None:
        """Raise BenchmarkError if a cell of the outcome lacks requested metrics."""
        there = {cell.folder: cell for cell in outcome.cells}
        lacking = [
            entry.lacks
            for entry in self.cells
            if entry.lacks and entry.prepared.to_measure(there[entry.prepared.folder])
        ]
        if lacking:
            raise BenchmarkError(
                f"{len(lacking)} of {len(self.cells)} cells lack metrics; the first lacks {lacking[0]}: "
                "run them again with --force --keep-maps all"
            )

    def require_all(self) -> None:
        """Raise CellsImpossible (exit code 4) if a cell cannot run."""
        if self.impossible:
            count = sum(map(len, self.impossible.values()))
            raise CellsImpossible(
                f"{count} of {count + len(self.cells)} cells could not start: {'; '.join(self.impossible)}"
            )


def plan(cells: Sequence[Cell], settings: Settings) -> Plan:
    """Look every cell up, before anything starts.

    Raises for unknown names and bad fields. What is missing on this machine makes a cell impossible; if that
    holds for all of them, the first reason is raised as it is.
    """
    found, first = look_up(cells, settings)
    if first is not None and not found.cells:
        raise first
    return found


def look_up(cells: Sequence[Cell], settings: Settings) -> tuple[Plan, Exception | None]:
    """Plan like `plan`, but return the first error about missing data or weights instead of raising it."""
    store = Store(settings.results)
    resolver = Resolver(settings)
    planned: list[PlannedCell] = []
    impossible: dict[str, list[Cell]] = {}
    first: Exception | None = None
    for cell in cells:
        try:
            prepared = resolver.prepare(cell)
        except (DataMissing, WeightsMissing) as error:
            first = first or error
            impossible.setdefault(str(error), []).append(cell)
        else:
            planned.append(_planned(prepared, store))
    return Plan(planned, impossible), first


def _planned(prepared: Prepared, store: Store) -> PlannedCell:
    answer = prepared.answer(store)
    names = prepared.to_measure(answer) if answer else []
    if answer is None or not names:
        return PlannedCell(prepared, answer)
    reason = why_not(answer, names)
    if not reason:
        return PlannedCell(prepared, None, answer)
    if any(name in answer.record.metrics for name in names):
        # Values of another recipe must not stand as the answer.
        return PlannedCell(prepared, None)
    return PlannedCell(prepared, answer, lacks=f"'{', '.join(names)}': {reason}")


def run(
    planned: Sequence[PlannedCell],
    settings: Settings,
    options: Options,
    watch: Callable[[Sequence[str], int], AbstractContextManager[Watcher]],
    *,
    engine: str = "local",
    retry: Retry | None = None,
) -> Outcome:
    """Run unfinished cells; the outcome holds all requested cells, old and new. Raises UnknownName."""
    chosen = engines.load(engine)
    again = retry or Retry()
    states = [
        entry.state(force=options.force, retry=again, rank_training=options.rank_training)
        for entry in planned
    ]
    waiting = [entry for entry, state in zip(planned, states, strict=True) if state != "done"]
    if not options.force:
        store = Store(settings.results)
        for entry in waiting:
            entry.prepared.require_same_images(store)
    if waiting and chosen.IS_LOCAL:
        require_device(settings.device)
    fresh: dict[int, StoredCell] = {}
    if waiting:
        features = [entry.prepared for entry, state in zip(planned, states, strict=True) if state == "to run"]
        call = _Call(settings, engine, len(planned), notes_rates=chosen.IS_LOCAL)
        with call:
            if chosen.IS_LOCAL:
                # Engines on other machines embed in their cells: they share no process with us.
                call.embedded = embed(features, settings, watch)
            titles = [entry.prepared.cell.title for entry in waiting]
            with watch(titles, len(planned) - len(waiting)) as watcher:
                call.watcher = _Timed(watcher)
                call.cells = chosen.run(
                    [entry.prepared for entry in waiting], settings, options, call.watcher
                )
        fresh = {id(entry): cell for entry, cell in zip(waiting, call.cells, strict=True)}
    outcome = Outcome(reused=len(planned) - len(waiting))
    for entry in planned:
        cell = fresh.get(id(entry), entry.stored)
        if cell is not None:
            outcome.cells.append(cell)
    return outcome


class _Timed:
    """Watcher that forwards all events and measures the duration of each cell with its process."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._started: dict[int, float] = {}
        self.seconds: dict[int, float] = {}

    def started(self, index: int) -> None:
        self._started[index] = time.monotonic()
        self._watcher.started(index)

    def progressed(self, index: int, stage: str, done: int, total: int) -> None:
        self._watcher.progressed(index, stage, done, total)

    def finished(self, index: int, status: Status, error: str) -> None:
        self.seconds[index] = time.monotonic() - self._started[index]
        self._watcher.finished(index, status, error)


class _Call:
    """Notes, however it ends, what one call did: a run record, and rates for the next plan."""

    def __init__(self, settings: Settings, engine: str, asked: int, *, notes_rates: bool) -> None:
        self._settings, self._engine, self._asked = settings, engine, asked
        self._notes_rates = notes_rates
        self.embedded: list[Embedded] = []
        self.cells: list[StoredCell] = []
        self.watcher: _Timed | None = None

    def __enter__(self) -> None:
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._clock = time.monotonic()

    def __exit__(self, *_: object) -> None:
        settings = self._settings
        if self._notes_rates:
            # Cells of a cluster say nothing about this machine.
            rates.note(settings.home, [*self._measured(), *measured(self.embedded, settings)])
        parts = [one.cache for one in self.embedded]
        parts += [cell.record.cache for cell in self.cells]
        facts = {
            "command": sys.argv[1:],
            "engine": self._engine,
            "jobs": settings.parallel,
            "device": settings.device,
            "started_at": self._started,
            "seconds": round(time.monotonic() - self._clock, 3),
            "asked": self._asked,
            "cells": [below(cell.folder, settings.results) for cell in self.cells],
            "statuses": Counter(str(cell.status) for cell in self.cells),
            "embedded": [asdict(one) for one in self.embedded],
            "cache": sum_of(parts),
        }
        # The cells are what counts; they have said themselves if the disk is full.
        with contextlib.suppress(ResultsError):
            write_run(settings.results, facts)

    def _measured(self) -> list[rates.CellRun]:
        seconds = self.watcher.seconds if self.watcher else {}
        runs = (
            [rates.cell_run(self.cells[index], took) for index, took in seconds.items()] if self.cells else []
        )
        return [one for one in runs if one is not None]
