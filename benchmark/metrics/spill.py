"""Anomalous pixels that are too many for memory: sorted runs on disk, merged in blocks of falling score."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.metrics.curve import Counts, CurveInMemory, Piece
from benchmark.metrics.pixel_curve import Positives, order_positives, stable_order

Weights = npt.NDArray[np.float64]


def merge_equal(values: npt.NDArray[Any], weights: Weights) -> tuple[npt.NDArray[Any], Weights, Counts]:
    """Distinct `values` (P,) rising, the summed weight of each, and how many pixels have it."""
    order = stable_order(values)
    values = values[order]
    first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return values[first], np.add.reduceat(weights[order], first), np.diff(np.append(first, len(values)))


class SpilledCurve:
    """A curve that is read back from disk piece by piece; the file goes when the curve goes."""

    def __init__(self, positives: int, negatives: int) -> None:
        self.positives = positives
        self.negatives = negatives
        folder = Path(tempfile.mkdtemp(prefix="ltbench-curve-"))
        self._folder = folder
        self._pieces = 0
        self._gone = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def append(self, piece: Piece) -> None:
        """Add the next stretch of lower scores."""
        np.savez(self._folder / f"{self._pieces}.npz", **vars(piece))
        self._pieces += 1

    def pieces(self) -> Iterator[Piece]:
        """The stretches in the order in which they were added, cut as the functions of a curve like them."""
        for number in range(self._pieces):
            with np.load(self._folder / f"{number}.npz") as stored:
                whole = Piece(**stored)
            yield from CurveInMemory(whole, self.positives, self.negatives).pieces()


class PositivesOnDisk:
    """Anomalous pixels in pixel order: up to `limit` in memory, beyond it as sorted runs on disk."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        """Pixels added."""
        self.regions = 0
        """Regions added."""
        self._values: list[npt.NDArray[Any]] = []
        self._weights: list[Weights] = []
        self._held = 0
        self._folder: Path | None = None
        self._runs: list[Path] = []

    @property
    def spilled(self) -> bool:
        """True if some pixels are on disk."""
        return bool(self._runs)

    def add(self, values: npt.NDArray[Any], weights: Weights, regions: int) -> None:
        """Add the pixels of further images: scores and weights (P,), forming `regions` regions."""
        self._values.append(values)
        self._weights.append(weights)
        self._held += len(values)
        self.count += len(values)
        self.regions += regions
        if self._held > self.limit:
            self._spill()

    def all(self) -> Positives:
        """All pixels, if none is on disk."""
        return order_positives(*self._take())

    def _take(self) -> tuple[npt.NDArray[Any], Weights]:
        values = np.concatenate(self._values) if self._values else np.empty(0, np.float32)
        weights = np.concatenate(self._weights) if self._weights else np.empty(0)
        self._values, self._weights, self._held = [], [], 0
        return values, weights

    def _spill(self) -> None:
        """Write what is held as a run of distinct, rising scores."""
        values, weights = self._take()
        for start in range(0, len(values), self.limit):
            part = slice(start, start + self.limit)
            run = merge_equal(values[part], weights[part])
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="ltbench-positives-"))
            path = self._folder / str(len(self._runs))
            path.mkdir()
            for name, array in zip(("values", "weights", "counts"), run, strict=True):
                np.save(path / f"{name}.npy", array)
            self._runs.append(path)

    def blocks(self) -> Iterator[tuple[Positives, float, float]]:
        """All pixels in blocks of at most `limit` falling scores, each with its range [low, high)."""
        if self._held:
            self._spill()
        edges = self._edges()
        hits, covered = 0, 0.0
        for low, high in zip(edges[-2::-1], edges[:0:-1], strict=True):
            values, weights, counts = self._between(low, high)
            if not len(values):
                continue
            block = order_positives(values, weights, counts, hits_above=hits, covered_above=covered)
            hits, covered = int(block.hits[0]), float(block.covered[0])
            yield block, low, high

    def _edges(self) -> list[float]:
        """Borders of the blocks, rising, from samples of the sorted runs: every step-th score of each."""
        step = max(self.limit // (4 * len(self._runs)), 1)
        runs = [np.load(run / "values.npy", mmap_mode="r") for run in self._runs]
        samples = np.sort(np.concatenate([np.asarray(run[::step], np.float64) for run in runs]))
        # Between two samples of one run lie fewer than `step` of its scores: a block holds at most
        # limit/2 sampled ones and a quarter of the limit beyond.
        inner = np.unique(samples[:: max(self.limit // (2 * step), 1)])
        return [-np.inf, *inner[1:].tolist(), np.inf]

    def _between(self, low: float, high: float) -> tuple[npt.NDArray[Any], Weights, Counts]:
        """Scores in [low, high) of all runs, runs in order, with their weights and counts."""
        parts: list[list[npt.NDArray[Any]]] = [[], [], []]
        for run in self._runs:
            values = np.load(run / "values.npy", mmap_mode="r")
            here = slice(*np.searchsorted(values, np.array([low, high], values.dtype), "left"))
            for part, name in zip(parts, ("values", "weights", "counts"), strict=True):
                part.append(np.array(np.load(run / f"{name}.npy", mmap_mode="r")[here]))
        values, weights, counts = (np.concatenate(part) for part in parts)
        return values, weights, counts

    def close(self) -> None:
        """Delete the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
