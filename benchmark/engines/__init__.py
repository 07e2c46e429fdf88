"""Ways to run many cells: one module of this folder each."""

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
    """How cells are run, beyond where things are."""

    keep_maps: KeptMaps = "small"
    rank_training: bool = False
    """Rank the training images by suspicion, for active label correction."""
    force: bool = False


class Watcher(Protocol):
    """Told what happens, for a person to see; cells are named by their position in the list."""

    def started(self, index: int) -> None: ...

    def progressed(self, index: int, stage: str, done: int, total: int) -> None: ...

    def finished(self, index: int, status: Status, error: str) -> None: ...


class Engine(Protocol):
    """A module of this folder."""

    IS_LOCAL: bool
    """Whether cells run on this machine: features are then embedded before, and speeds noted for plans."""

    @staticmethod
    def run(
        cells: Sequence[Prepared], settings: Settings, options: Options, watcher: Watcher
    ) -> list[StoredCell]:
        """Run every cell; a cell that fails is a stored row, never an exception."""
        ...


ENGINES = Registry("engine", __name__)


def load(name: str) -> Engine:
    """The engine called `name`. Raises UnknownName."""
    engine: Engine = ENGINES.load(name)
    return engine
