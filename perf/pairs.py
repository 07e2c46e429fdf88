"""Measures contenders fairly: alternating, on one thread, medians, peak memory in a fresh process each."""

from __future__ import annotations

import contextlib
import gc
import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from perf.ceilings import Ceiling
from perf.comparison import Comparison, Limit, Row, Run, Side

PeakMemory = Callable[[str, str], float]
"""Megabytes that a side takes at its peak, from the names of the comparison and the side."""


def measure(
    comparison: Comparison,
    *,
    seconds_per_side: float,
    peak_memory: PeakMemory | None = None,
    ceilings: Mapping[str, Ceiling] | None = None,
    brief: bool = False,
) -> list[Row]:
    """One row per side. A side runs once to warm up and is then repeated, in turn with the others, while its
    share of time lasts; a side that takes longer than that runs just once more.

    peak_memory: how the memory of a side is measured; None = not at all. brief: take small inputs, whose
    times mean nothing: only answers are judged.
    """
    sides = [comparison.ours, *(peer for peer in comparison.peers if not peer.missing)]
    # Loads all code.
    small = comparison.inputs(True)
    for side in sides:
        _timed(side.run, small, comparison.clock)
    inputs = comparison.inputs(brief)
    answers, times = {}, {}
    for side in sides:
        answers[side.name], seconds = _timed(side.run, inputs, comparison.clock)
        times[side.name] = [seconds] if seconds > seconds_per_side else []
    while waiting := [
        side
        for side in sides
        if not times[side.name] or (len(times[side.name]) < 15 and _fits(times[side.name], seconds_per_side))
    ]:
        for side in waiting:
            times[side.name].append(_timed(side.run, inputs, comparison.clock)[1])
    del inputs
    watch = peak_memory if comparison.watches_memory else None
    peaks = {side.name: watch(comparison.name, side.name) if watch else None for side in sides}
    rows = _rows(comparison, sides, times, answers, peaks)
    if not brief:
        rows[0] = _limited(rows[0], comparison.limit, ceilings or {})
    verdicts = [_verdict(comparison, side, row, brief) for side, row in zip(sides, rows, strict=True)]
    judged = [replace(row, verdict=verdict) for row, verdict in zip(rows, verdicts, strict=True)]
    return [*judged, *_absent(comparison)]


def _limited(row: Row, limit: Limit | None, ceilings: Mapping[str, Ceiling]) -> Row:
    """Row with the share of its limit that was reached, if the ceiling was measured."""
    if limit is None:
        return row
    ceiling = ceilings.get(limit.ceiling)
    share = None
    if ceiling is not None and row.seconds:
        share = limit.work / ceiling.per_second / row.seconds
    return replace(row, limit=f"{limit.what} ({limit.ceiling})", share=share)


def _fits(times: Sequence[float], budget: float) -> bool:
    return sum(times) + statistics.median(times) <= budget


def _timed(run: Run, inputs: Any, clock: Callable[[], float]) -> tuple[Any, float]:
    """Answer, and how far the clock went."""
    gc.disable()
    # Some peers draw progress bars.
    with contextlib.redirect_stderr(io.StringIO()):
        start = clock()
        answer = run(inputs)
        seconds = clock() - start
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
    base_peak = peaks[own]
    rows = []
    for side in sides:
        seconds, peak = statistics.median(times[side.name]), peaks[side.name]
        apart = None
        if comparison.difference is not None:
            apart = comparison.difference(answers[own], answers[side.name])
        together = zip(times[side.name], times[own], strict=False)
        row = Row(
            comparison=comparison.name,
            size=comparison.size,
            side=side.name,
            ours=side is comparison.ours,
            seconds=seconds,
            rounds=len(times[side.name]),
            ratio=statistics.median(theirs / max(ours, 1e-9) for theirs, ours in together),
            peak_mb=peak,
            memory_ratio=None if peak is None or base_peak is None else peak / max(base_peak, 0.1),
            difference=apart,
            target=_target(side),
            answer=_told(answers[side.name]),
        )
        rows.append(row)
    return rows


def _told(answer: Any) -> dict[str, float]:
    """An answer that is a few numbers by name; nothing of a larger one."""
    values = answer if isinstance(answer, dict) else {}
    return {name: value for name, value in values.items() if isinstance(value, float)}


def _target(side: Side) -> str:
    wanted = [f"{side.faster:g}x faster"] if side.faster is not None else []
    return ", ".join(wanted + ([f"{side.leaner:g}x leaner"] if side.leaner is not None else []))


def _verdict(comparison: Comparison, side: Side, row: Row, brief: bool) -> str:
    missed = []
    if not brief and side.faster is not None and row.ratio is not None and row.ratio < side.faster:
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
            target=_target(peer),
            verdict=f"not installed: {', '.join(peer.missing)}",
        )
        for peer in comparison.peers
        if peer.missing
    ]
