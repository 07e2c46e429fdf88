"""Measures contenders fairly: alternating, on one thread, medians, peak memory in a fresh process each."""

from __future__ import annotations

import gc
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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
    """For a peer: how many times faster ours is to be."""
    leaner: float | None = None
    """For a peer: how many times less memory ours is to take."""

    @property
    def missing(self) -> list[str]:
        """Needed modules that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


@dataclass(frozen=True)
class Comparison:
    """Our side and its peers on the same inputs."""

    name: str
    size: str
    """The inputs, for people."""
    inputs: Callable[[bool], Any]
    """Makes the inputs; true = tiny ones, that load all code before memory is watched."""
    ours: Side
    peers: tuple[Side, ...]
    difference: Difference
    """How far two answers are apart."""
    tolerance: float | None = None
    """How far a peer that is exact may be from ours; None where peers approximate."""


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
    """This side's time over ours."""
    peak_mb: float | None = None
    """Highest resident memory during the call, above what stood before."""
    memory_ratio: float | None = None
    difference: float | None = None
    """From our answer."""
    verdict: str = ""
    """ "ok", what was missed, or why the side was not measured."""
    answer: Mapping[str, float] = field(default_factory=dict)


def measure(comparison: Comparison, *, seconds_per_side: float, memory: bool) -> list[Row]:
    """One row per side. A side runs once to warm up and is then repeated, in turn with the others, while its
    share of time lasts; a side that takes longer than that runs just once more.
    """
    sides = [comparison.ours, *(peer for peer in comparison.peers if not peer.missing)]
    inputs = comparison.inputs(False)
    answers, times = {}, {}
    for side in sides:
        answers[side.name], seconds = _timed(side.run, inputs)
        times[side.name] = [seconds] if seconds > seconds_per_side else []
    while waiting := [
        side
        for side in sides
        if not times[side.name] or (len(times[side.name]) < 15 and _fits(times[side.name], seconds_per_side))
    ]:
        for side in waiting:
            times[side.name].append(_timed(side.run, inputs)[1])
    del inputs
    peaks = {side.name: peak_memory(comparison, side) if memory else None for side in sides}
    return [*_rows(comparison, sides, times, answers, peaks), *_absent(comparison)]


def _fits(times: Sequence[float], budget: float) -> bool:
    return sum(times) + statistics.median(times) <= budget


def _timed(run: Run, inputs: Any) -> tuple[Any, float]:
    """Answer and processor time: all sides have one thread, and other jobs of the machine must not count."""
    gc.disable()
    start = time.process_time()
    answer = run(inputs)
    seconds = time.process_time() - start
    gc.enable()
    return answer, seconds


def _rows(
    comparison: Comparison,
    sides: Sequence[Side],
    times: Mapping[str, Sequence[float]],
    answers: Mapping[str, Any],
    peaks: Mapping[str, float | None],
) -> list[Row]:
    own = comparison.ours.name
    base, base_peak = statistics.median(times[own]), peaks[own]
    rows = []
    for side in sides:
        seconds, peak = statistics.median(times[side.name]), peaks[side.name]
        apart = comparison.difference(answers[own], answers[side.name])
        row = Row(
            comparison=comparison.name,
            size=comparison.size,
            side=side.name,
            ours=side is comparison.ours,
            seconds=seconds,
            rounds=len(times[side.name]),
            ratio=seconds / base,
            peak_mb=peak,
            memory_ratio=None if peak is None or base_peak is None else peak / max(base_peak, 0.1),
            difference=apart,
            answer=answers[side.name] if isinstance(answers[side.name], dict) else {},
        )
        rows.append(Row(**{**vars(row), "verdict": _verdict(comparison, side, row)}))
    return rows


def _verdict(comparison: Comparison, side: Side, row: Row) -> str:
    missed = []
    if side.faster is not None and row.ratio is not None and row.ratio < side.faster:
        missed.append(f"wanted {side.faster:g}x faster")
    if side.leaner is not None and row.memory_ratio is not None and row.memory_ratio < side.leaner:
        missed.append(f"wanted {side.leaner:g}x leaner")
    if (
        comparison.tolerance is not None
        and row.difference is not None
        and not row.difference <= comparison.tolerance
    ):
        missed.append(f"differs by more than {comparison.tolerance:g}")
    has_target = side.faster is not None or side.leaner is not None or comparison.tolerance is not None
    return ", ".join(missed) or ("ok" if has_target and not row.ours else "")


def _absent(comparison: Comparison) -> list[Row]:
    return [
        Row(
            comparison.name,
            comparison.size,
            peer.name,
            ours=False,
            verdict=f"not installed: {', '.join(peer.missing)}",
        )
        for peer in comparison.peers
        if peer.missing
    ]


def peak_memory(comparison: Comparison, side: Side) -> float:
    """Megabytes (10⁶ bytes) that one call takes at its peak above what stood before, in a fresh process."""
    command = [sys.executable, "-m", "perf.pairs", comparison.name, side.name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])) / 1e6


def resident(field_name: str) -> int:
    """Bytes of this process' resident memory by /proc's name: "VmRSS" now, "VmHWM" at its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field_name + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field_name)


def watch_memory(comparison: Comparison, side: Side) -> int:
    """Bytes that one call takes at its peak above what stood before, in this process."""
    side.run(comparison.inputs(True))
    inputs = comparison.inputs(False)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    side.run(inputs)
    return resident("VmHWM") - before


def main() -> None:
    """Entry of the fresh process: print the bytes of one side as the last line."""
    from perf.comparisons import find

    comparison = find(sys.argv[1])
    side = next(each for each in (comparison.ours, *comparison.peers) if each.name == sys.argv[2])
    print(json.dumps(watch_memory(comparison, side)))


if __name__ == "__main__":
    main()
