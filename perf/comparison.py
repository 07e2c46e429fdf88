"""A comparison of our code with its peers, and the rows that measuring it gives."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Run = Callable[[Any], Any]
Difference = Callable[[Any, Any], float]


@dataclass(frozen=True)
class Side:
    """One way to do the job."""

    name: str
    run: Run
    needs: tuple[str, ...] = ()
    """Modules without which this side is left out, and said to be."""
    faster: float | None = None
    """Factor by which ours should be faster than this peer; None = no target."""
    leaner: float | None = None
    """Factor by which ours should use less memory than this peer; None = no target."""

    @property
    def missing(self) -> list[str]:
        """Needed modules that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


@dataclass(frozen=True)
class Limit:
    """Lower bound on our side's time for any implementation."""

    ceiling: str
    """Name of a measured ceiling of this machine: "sort", "memory", "float32 product", "bfloat16 product"."""
    work: float
    """Least amount of work in the job: keys, bytes read and written, or floating-point operations."""
    what: str
    """The work in words: "one sort of the pixels"."""


@dataclass(frozen=True)
class Comparison:
    """Our side and its peers on the same inputs."""

    name: str
    size: str
    """Size of the inputs, as shown to readers."""
    inputs: Callable[[bool], Any]
    """Makes the inputs; true = small ones, that load all code before memory is watched."""
    ours: Side
    peers: tuple[Side, ...]
    difference: Difference | None
    """Distance between two answers; None if they are not comparable."""
    tolerance: float | None = None
    """Largest allowed distance of an exact peer from ours; None if peers approximate."""
    limit: Limit | None = None
    clock: Callable[[], float] = time.process_time
    """Processor time: all sides have one thread, and other jobs of the machine must not count."""
    watches_memory: bool = True
    """Whether the sides' memory is that of the process."""


@dataclass(frozen=True)
class Row:
    """One side of a comparison, measured."""

    comparison: str
    size: str
    side: str
    ours: bool
    seconds: float | None = None
    """Processor time, median over `rounds`."""
    rounds: int = 0
    ratio: float | None = None
    """This side's time over ours: median over the rounds that both took part in."""
    peak_mb: float | None = None
    """Highest resident memory during the call, above what stood before."""
    memory_ratio: float | None = None
    difference: float | None = None
    """Distance from our answer."""
    verdict: str = ""
    """ "ok", what was missed, or why the side was not measured."""
    target: str = ""
    """Goal that the verdict judges: "60x faster, 8x leaner"."""
    limit: str = ""
    """Resource that bounds our side."""
    share: float | None = None
    """Time that our side's limit alone would take, over the time taken."""
    answer: Mapping[str, float] = field(default_factory=dict)
