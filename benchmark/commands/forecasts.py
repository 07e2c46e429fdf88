"""Text of a forecast: rows of a table, totals, sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

if TYPE_CHECKING:
    from ltbench.benchmark.forecast import EmbeddingPlan, Forecast, Interval
    from ltbench.benchmark.run import Plan, PlannedCell, State

UNKNOWN = "unknown"


def rows(plan: Plan, states: Sequence[State], expected: Forecast) -> list[list[object]]:
    """One row per cell: identity, state, images, estimate, why it is impossible."""
    found: list[list[object]] = []
    for position, (entry, state) in enumerate(zip(plan.cells, states, strict=True)):
        split, cell = entry.prepared.split, entry.prepared.cell
        estimate = expected.cells.get(position)
        took = "" if position not in expected.cells else UNKNOWN
        if estimate is not None:
            took = f"{duration_range(estimate.seconds)} ({estimate.basis})"
        identity = [cell.dataset, split.recipe, cell.seed, cell.method]
        counts = [len(split.train), split.overlap, len(split.test)]
        found.append([*identity, state_of(entry, state, position in expected.cached), *counts, took, ""])
    for why, cells in plan.impossible.items():
        found += [
            [cell.dataset, cell.split, cell.seed, cell.method, "impossible", "–", "–", "–", "", why]
            for cell in cells
        ]
    return found


def state_of(entry: PlannedCell, state: State, cached: bool) -> str:
    """State of a cell as text: "done", "done (error)", "cached", "to run (timeout)", "recompute", ..."""
    answer = entry.stored
    ended = f" ({answer.status})" if answer is not None and str(answer.status) != "ok" else ""
    return ("cached" if cached and state == "to run" else state) + ended


def totals(plan: Plan, states: Sequence[State], expected: Forecast) -> dict[str, Any]:
    """Numbers of cells by state, of image reads, and of distinct images."""
    images: set[tuple[str, str]] = set()
    reads = 0
    for entry in plan.cells:
        split = entry.prepared.split
        images |= {(entry.prepared.cell.dataset, image.path) for image in (*split.train, *split.test)}
        reads += len(split.train) + len(split.test)
    return {
        "cells": len(plan.cells) + sum(map(len, plan.impossible.values())),
        "done": states.count("done"),
        "to_run": len(states) - states.count("done"),
        "recompute": states.count("recompute"),
        "cached": len(expected.cached),
        "impossible": sum(map(len, plan.impossible.values())),
        "images_read": reads,
        "distinct_images": len(images),
        "to_embed": sum(len(one.missing) for one in expected.embeddings),
    }


def sentences(plan: Plan, counts: dict[str, Any], expected: Forecast) -> Iterator[str]:
    """Summary of a plan before it starts: number of cells, then time, memory and disk space."""
    parts = [f"{counts['cells']} cells: {counts['done']} done, {counts['to_run']} to run"]
    parts += [f"{counts['recompute']} of them only metrics"] if counts["recompute"] else []
    parts += [f"{counts['impossible']} impossible here"] if counts["impossible"] else []
    yield ", ".join(parts)
    for why, cells in plan.impossible.items():
        yield f"[yellow]impossible[/yellow] ({len(cells)}): {escape(why)}"
    yield f"{counts['images_read']} image reads of {counts['distinct_images']} distinct images"
    for one in expected.embeddings:
        yield _embedding(one)
    if not counts["to_run"]:
        return
    known = len(expected.cells) - sum(expected.unknown.values())
    if known or any(one.seconds is not None for one in expected.embeddings):
        yield f"time: {duration_range(expected.wall)} with {expected.jobs} at a time" + (
            f", for {known} of {len(expected.cells)} cells" if expected.unknown else ""
        )
    for what, count in expected.unknown.items():
        yield f"time of {count} cells: unknown: no cell of {escape(what)} has run here"
    for backbone in expected.unknown_backbones:
        yield (
            f"time to embed with {escape(backbone)}: unknown: it has embedded nothing here; --calibrate "
            "measures it in seconds"
        )
    if known:
        yield f"memory: {size_range(expected.rss_mb.times(1e6))} for {expected.jobs} at a time"
    if expected.vram_mb.high:
        yield f"GPU memory: {size_range(expected.vram_mb.times(2**20))}"
    if known:
        features = UNKNOWN if expected.unknown_backbones else size_range(expected.cache_bytes)
        yield f"disk: results {size_range(expected.stored_bytes)}, features {features}"


def _embedding(one: EmbeddingPlan) -> str:
    job = one.job
    head = f"features of {escape(job.backbone)} ({job.view}) on {escape(job.dataset)}: "
    head += f"{len(one.missing)} of {len(job.images)} images to embed"
    if not one.missing or one.seconds is None or one.bytes is None:
        return head
    return (
        f"{head}, {duration_range(one.seconds)} of processor time, {size_range(one.bytes)} "
        f"({one.measurements} {'measurement' if one.measurements == 1 else 'measurements'})"
    )


def duration_range(seconds: Interval) -> str:
    """ "40 s to 1.5 min, about 55 s"."""
    low, middle, high = map(duration, (seconds.low, seconds.middle, seconds.high))
    return middle if low == high else f"{low} to {high}, about {middle}"


def duration(seconds: float) -> str:
    """Two digits that matter: "0.4 s", "55 s", "12 min", "3.5 h"."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"{_digits(seconds / length)} {unit}"
    return f"{_digits(seconds)} s"


def size_range(amount: Interval) -> str:
    """Size range as text: "1.2 GB", or "1.2 GB to 1.9 GB"."""
    low, high = size(amount.low), size(amount.high)
    return low if low == high else f"{low} to {high}"


def size(amount: float) -> str:
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if amount >= length:
            return f"{_digits(amount / length)} {unit}"
    return f"{amount:.0f} bytes"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
