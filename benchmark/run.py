"""From a list of cells to stored results: look up, leave out what is done, run the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from benchmark import engines
from benchmark.cell import Cell
from benchmark.embed import embed
from benchmark.engines import Options, Watcher
from benchmark.errors import CellsImpossible
from benchmark.execute import Prepared, Resolver
from benchmark.settings import Settings
from methods.errors import WeightsMissing
from results.ranking import has_ranking
from results.status import Status
from results.store import Store, StoredCell
from splits.errors import DataMissing

Retry = Literal["failed", "none"]


@dataclass(frozen=True)
class PlannedCell:
    """A cell and what is known of it."""

    prepared: Prepared
    stored: StoredCell | None
    """The finished answer to the same question, whatever its status."""

    def to_run(self, *, force: bool, retry: Retry, rank_training: bool = False) -> bool:
        if self.stored is None or force:
            return True
        if rank_training and self.stored.status is Status.OK and not has_ranking(self.stored):
            return True
        return self.stored.status is not Status.OK and retry == "failed"


@dataclass
class Outcome:
    """What a run has left behind."""

    cells: list[StoredCell] = field(default_factory=list)
    """One per asked cell, in order."""
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
    """By reason: weights or auxiliary data that are not on this machine."""

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
            planned.append(PlannedCell(prepared, prepared.finished(store)))
    if first is not None and not planned:
        raise first
    return Plan(planned, impossible)


def run(
    planned: Sequence[PlannedCell],
    settings: Settings,
    options: Options,
    watch: Callable[[Sequence[str], int], AbstractContextManager[Watcher]],
    *,
    engine: str = "local",
    retry: Retry = "failed",
) -> Outcome:
    """Run what is not done; the outcome holds every asked cell, cached or new."""
    waiting = [
        entry
        for entry in planned
        if entry.to_run(force=options.force, retry=retry, rank_training=options.rank_training)
    ]
    fresh: dict[int, StoredCell] = {}
    if waiting:
        if engine == "local":
            # Engines on other machines embed in their cells: they share no process with us.
            embed([entry.prepared for entry in waiting], settings, watch)
        titles = [entry.prepared.cell.title for entry in waiting]
        with watch(titles, len(planned) - len(waiting)) as watcher:
            cells = engines.load(engine).run(
                [entry.prepared for entry in waiting], settings, options, watcher
            )
        fresh = {id(entry): cell for entry, cell in zip(waiting, cells, strict=True)}
    outcome = Outcome(reused=len(planned) - len(waiting))
    for entry in planned:
        cell = fresh.get(id(entry), entry.stored)
        if cell is not None:
            outcome.cells.append(cell)
    return outcome
