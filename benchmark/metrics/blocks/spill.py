"""External sort of anomalous pixels that exceed the memory: sorted runs on disk, merged block by block."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.blocks.curve import Counts, CurveInMemory, Piece
from ltbench.benchmark.metrics.blocks.positives import Positives, order_positives, stable_order

Weights = npt.NDArray[np.float64]


def merge_equal(values: npt.NDArray[Any], weights: Weights) -> tuple[npt.NDArray[Any], Weights, Counts]:
    """Merge equal values (P,): distinct values, ascending, their summed weights and numbers of pixels."""
    order = stable_order(values)
    values = values[order]
    first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return values[first], np.add.reduceat(weights[order], first), np.diff(np.append(first, len(values)))


@dataclass(frozen=True)
class Stored:
    """Location of an array in an ArrayFile."""

    dtype: np.dtype[Any]
    offset: int
    count: int


class ArrayFile:
    """Arrays (n,) in one unnamed temporary file, which disappears even if the process is killed."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="ltbench-")  # noqa: SIM115 - lives as long as this object
        self.close = weakref.finalize(self, self._file.close)

    def write(self, array: npt.NDArray[Any]) -> Stored:
        """Append an array."""
        offset = self._file.seek(0, os.SEEK_END)
        np.ascontiguousarray(array).tofile(self._file)
        return Stored(array.dtype, offset, len(array))

    def read(self, stored: Stored, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Read an array or a part of it."""
        stop = stored.count if stop is None else stop
        self._file.seek(stored.offset + start * stored.dtype.itemsize)
        return np.fromfile(self._file, stored.dtype, stop - start)


class SpilledCurve:
    """Curve stored on disk and read piece by piece."""

    def __init__(self, positives: int, negatives: int) -> None:
        self.positives = positives
        self.negatives = negatives
        self._file = ArrayFile()
        self._pieces: list[dict[str, Stored]] = []

    def append(self, piece: Piece) -> None:
        """Add the next part of the curve, with lower scores."""
        self._pieces.append({name: self._file.write(array) for name, array in vars(piece).items()})

    def pieces(self) -> Iterator[Piece]:
        """Yield the parts in the order in which they were added, in pieces of bounded size."""
        for stored in self._pieces:
            whole = Piece(**{name: self._file.read(where) for name, where in stored.items()})
            yield from CurveInMemory(whole, self.positives, self.negatives).pieces()


class PositivesOnDisk:
    """Anomalous pixels, up to `limit` in memory, more of them as sorted runs on disk."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        """Number of pixels added."""
        self.regions = 0
        """Number of regions added."""
        self._values: list[npt.NDArray[Any]] = []
        self._weights: list[Weights] = []
        self._held = 0
        self._file: ArrayFile | None = None
        self._runs: list[tuple[Stored, Stored, Stored]] = []

    @property
    def spilled(self) -> bool:
        """Whether some pixels are on disk."""
        return bool(self._runs)

    def add(self, values: npt.NDArray[Any], weights: Weights, regions: int) -> None:
        """Add scores and weights (P,) of the anomalous pixels of further images with `regions` regions."""
        self._values.append(values)
        self._weights.append(weights)
        self._held += len(values)
        self.count += len(values)
        self.regions += regions
        if self._held > self.limit:
            self._spill()

    def all(self) -> Positives:
        """Sort all pixels, if none is on disk."""
        return order_positives(*self._take())

    def _take(self) -> tuple[npt.NDArray[Any], Weights]:
        """Return the pixels in memory and forget them."""
        values = np.concatenate(self._values) if self._values else np.empty(0, np.float32)
        weights = np.concatenate(self._weights) if self._weights else np.empty(0)
        self._values, self._weights, self._held = [], [], 0
        return values, weights

    def _spill(self) -> None:
        """Write the pixels in memory to disk as runs of distinct, ascending scores."""
        values, weights = self._take()
        self._file = self._file or ArrayFile()
        for start in range(0, len(values), self.limit):
            part = slice(start, start + self.limit)
            scores, summed, counts = merge_equal(values[part], weights[part])
            self._runs.append((self._file.write(scores), self._file.write(summed), self._file.write(counts)))

    def blocks(self) -> Iterator[tuple[Positives, float, float]]:
        """Yield all pixels, highest first, in blocks of at most `limit` scores, with ranges [low, high)."""
        if self._held:
            self._spill()
        if self._file is None:
            return
        edges = self._edges(self._file)
        hits, covered = 0, 0.0
        for low, high in zip(edges[-2::-1], edges[:0:-1], strict=True):
            values, weights, counts = self._between(self._file, low, high)
            if not len(values):
                continue
            block = order_positives(values, weights, counts, hits_above=hits, covered_above=covered)
            hits, covered = int(block.hits[0]), float(block.covered[0])
            yield block, low, high

    def _edges(self, file: ArrayFile) -> list[float]:
        """Edges of the blocks, ascending, from every step-th score of each sorted run."""
        step = max(self.limit // (4 * len(self._runs)), 1)
        taken = [file.read(values)[::step].astype(np.float64) for values, _, _ in self._runs]
        samples = np.sort(np.concatenate(taken))
        # Between two samples of one run lie fewer than `step` of its scores: a block holds at most
        # limit/2 sampled ones and a quarter of the limit beyond.
        inner = np.unique(samples[:: max(self.limit // (2 * step), 1)])
        return [-np.inf, *inner[1:].tolist(), np.inf]

    def _between(self, file: ArrayFile, low: float, high: float) -> tuple[npt.NDArray[Any], Weights, Counts]:
        """Scores in [low, high) of all runs in order, with their weights and counts."""
        parts = []
        for run in self._runs:
            scores = file.read(run[0])
            start, stop = np.searchsorted(scores, np.array([low, high], scores.dtype), "left")
            parts.append((scores[start:stop].copy(), *(file.read(each, start, stop) for each in run[1:])))
        values, weights, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
        return values, weights, counts

    def close(self) -> None:
        """Delete the temporary file."""
        if self._file is not None:
            self._file.close()
