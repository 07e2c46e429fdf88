"""Engines, which run many cells: each module of this folder is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ltbench.benchmark.kept_maps import KeptMaps
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.settings import Settings
from ltbench.registry import Registry
from ltbench.results.status import Status
from ltbench.results.store import StoredCell


@dataclass(frozen=True)
class Options:
    """Options of a run that are not settings of the machine."""

    keep_maps: KeptMaps = "small"
    """Anomaly maps that are stored with a result."""
    rank_training: bool = False
    """Rank the training images by anomaly score, for active label correction."""
    force: bool = False
    """Run cells again that have a stored result."""


class Watcher(Protocol):
    """Receiver of progress; cells are identified by their index in the list."""

    def started(self, index: int) -> None:
        """Receive the start of a cell."""
        ...

    def progressed(self, index: int, stage: str, done: int, total: int) -> None:
        """Receive the progress of a cell: `done` of `total` steps of a stage such as "fit"."""
        ...

    def finished(self, index: int, status: Status, error: str) -> None:
        """Receive the end of a cell; `error` is the reason of a failure, else ""."""
        ...


class Engine(Protocol):
    """Interface of a module of this folder."""

    IS_LOCAL: bool
    """Whether cells run on this machine: features are embedded first, and speeds recorded for plans."""

    @staticmethod
    def run(
        cells: Sequence[Prepared], settings: Settings, options: Options, watcher: Watcher
    ) -> list[StoredCell]:
        """Run every cell; a failed cell becomes a stored result with its error, never an exception.

        Args:
            cells: Cells to run.
            settings: Settings of the machine.
            options: Options of the run.
            watcher: Receiver of progress.

        Returns:
            Stored result of every cell, in order.
        """
        ...


ENGINES = Registry("engine", __name__)


def load(name: str) -> Engine:
    """Load the engine called `name`. Raises UnknownName."""
    engine: Engine = ENGINES.load(name)
    return engine
