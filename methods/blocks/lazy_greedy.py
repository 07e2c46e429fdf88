"""Farthest-point selection on a processor: the rows of the plain loop, without most of its arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

ROUNDING = 2.0**-24
"""Unit round-off of float32."""
POOL = 8192
"""Rows kept up to date at a time. 4 to 32 thousand are within 10 %, with thousands of centres a fifth."""
ACTIVE = 512
"""Rows among which the plain loop runs: small enough to stay in the second-level cache."""
BLOCK = 1024
"""Rows and centres per product, so that the product stays in the cache until it is reduced."""


class LazyGreedy:
    """Farthest-point selection with stale distances.

    A row's distance to the nearest centre only shrinks, so a distance to the first few centres is an upper
    bound. Float32 products with the centres that they have not met tighten the bounds of a pool, the rows
    with the largest; only for the farthest few of the pool are distances computed, and among these the plain
    loop runs until its maximum is no longer certainly the global one. A product tells which centres may be
    nearest (by a rounding bound for any order of summation); direct differences in float64 decide.
    """

    def __init__(self, rows: Rows) -> None:
        count, dim = rows.shape
        self.rows = rows
        self.square = np.vecdot(rows, rows).astype(np.float64)
        self.distance = np.full(count, np.inf)
        """Squared distance to the nearest of the first counted[i] centres; -1 = is a centre."""
        self.counted = np.zeros(count, np.int64)
        self.bound = np.full(count, np.inf)
        """At least the squared distance to the nearest of the first seen[i] centres; -1 = is a centre."""
        self.seen = np.zeros(count, np.int64)
        self.taken = 0
        self.chosen = np.empty(0, np.int64)
        self.centres = np.empty((0, dim), np.float32)
        self.half = np.empty(0, np.float32)
        """Half the squared length of each centre: |x - c|² = |x|² - 2 (x·c - |c|²/2)."""
        self.slack = 2 * (dim + 8) * ROUNDING

    @property
    def finite(self) -> npt.NDArray[np.bool_]:
        """Rows (N,) whose squared length, doubled differences included, is a number of float32."""
        return np.asarray(self.square < np.finfo(np.float32).max / 8)

    def select(self, m: int, *, first: int | None = None, anchors: Indices | None = None) -> Indices:
        """Indices (m,) in the order of selection, from the row `first`, or by mean distance to `anchors`."""
        self.chosen, self.half = np.empty(m, np.int64), np.empty(m, np.float32)
        self.centres = np.empty((m, self.rows.shape[1]), np.float32)
        if first is not None:
            self._take(first)
            value = self.rows @ self.centres[0] - self.half[0]
            self.bound = np.minimum(self.bound, self._above(value, self.square))
            self.seen[:] = 1
        if anchors is not None:
            mean = np.zeros(len(self.rows))
            for row in anchors:
                mean += np.sqrt(self._squared_distance(int(row)))
            mean /= len(anchors)
            self.distance, self.bound = mean**2, mean**2
        while self.taken < m:
            pool, outside = _largest(self.bound, np.arange(len(self.rows)), POOL, -np.inf)
            if self.bound[pool].max() <= 0:
                self._take_duplicates()
                break
            if self._tighten(pool) and len(pool) > 2 * POOL:
                continue
            while self.taken < m:
                active, rival = _largest(self.bound, pool, ACTIVE, outside)
                self._settle(active)
                if self.distance[active].max() > max(rival, 0):
                    self._run_plain_loop(active, max(rival, 0))
                elif rival <= max(outside, 0):
                    break
        return self.chosen

    def _squared_distance(self, index: int) -> npt.NDArray[np.float64]:
        distance = np.empty(len(self.rows))
        for low in range(0, len(self.rows), BLOCK):
            difference = self.rows[low : low + BLOCK].astype(np.float64)
            difference -= self.rows[index]
            distance[low : low + BLOCK] = np.vecdot(difference, difference)
        return distance

    def _take(self, index: int) -> None:
        self.chosen[self.taken] = index
        self.centres[self.taken] = self.rows[index]
        self.half[self.taken] = self.square[index] / 2
        self.bound[index] = self.distance[index] = -1
        self.taken += 1

    def _take_duplicates(self) -> None:
        """What the plain loop does once every row coincides with a centre: the lowest indices left."""
        for index in np.flatnonzero(self.bound >= 0)[: len(self.chosen) - self.taken]:
            self._take(int(index))

    def _bars(
        self, square: npt.NDArray[np.float64], distance: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """x·c - |c|²/2 above which a centre may be nearer than `distance`, and the largest error of one.

        A centre nearer than d has |c|² <= 2 |x|² + 2 d.
        """
        error = self.slack * (3 * square + 2 * np.maximum(distance, 0))
        return (square - distance) / 2 - error, error

    def _unmet(self, indices: Indices, met: Indices) -> Iterator[tuple[Indices, slice]]:
        """Blocks of rows that have not met all centres, with blocks of centres that they have not."""
        stale = indices[met[indices] < self.taken]
        # Neighbours in this order have missed about the same centres.
        stale = stale[np.argsort(met[stale], kind="stable")]
        for low in range(0, len(stale), BLOCK):
            block = stale[low : low + BLOCK]
            for first in range(met[block[0]], self.taken, BLOCK):
                yield block, slice(first, min(first + BLOCK, self.taken))
        met[stale] = self.taken

    def _products(self, rows: Rows, centres: slice) -> Rows:
        """x·c - |c|²/2, centres by rows: reductions then run along whole lines."""
        # A quarter faster than NumPy's product.
        product = torch.mm(torch.from_numpy(self.centres[centres]), torch.from_numpy(rows).T).numpy()
        product -= self.half[centres, None]
        return product

    def _tighten(self, indices: Indices) -> bool:
        """Bounds with all centres counted, from products alone; True if any was stale."""
        stale = False
        for block, centres in self._unmet(indices, self.seen):
            best = self._products(self.rows[block], centres).max(axis=0)
            self.bound[block] = np.minimum(self.bound[block], self._above(best, self.square[block]))
            stale = True
        return stale

    def _above(self, value: Rows, square: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """No less than the squared distance to a centre, given its x·c - |c|²/2."""
        found = square - 2 * value
        # |c|² <= 4 |x|² + 2 |x - c|², and the latter is about what was found.
        found += self.slack * 8 * (square + np.abs(found))
        return found

    def _settle(self, indices: Indices) -> None:
        """Distances with all centres counted."""
        for block, centres in self._unmet(indices, self.counted):
            rows, distance = self.rows[block], self.distance[block]
            product = self._products(rows, centres)
            best = product.max(axis=0)
            bar, error = self._bars(self.square[block], np.minimum(distance, self.bound[block]))
            # The nearest centre is within twice the error of the best product.
            threshold = np.where(best >= bar, np.maximum(bar, best - 2 * error), np.inf)
            column, row = np.divmod(np.flatnonzero(product >= threshold.astype(np.float32)), len(block))
            difference = rows[row].astype(np.float64)
            difference -= self.centres[centres][column]
            np.minimum.at(distance, row, np.vecdot(difference, difference))
            self.distance[block] = distance
        self.bound[indices] = self.distance[indices]
        self.seen[indices] = self.taken

    def _run_plain_loop(self, active: Indices, rival: float) -> None:
        """Take the farthest of `active`, all settled, while it is farther than any other row can be."""
        screen = self.rows[active]
        rows = screen.astype(np.float64)
        square, distance = self.square[active], self.distance[active]
        bar, _ = self._bars(square, distance)
        farthest = int(distance.argmax())
        while distance[farthest] > rival and self.taken < len(self.chosen):
            self._take(int(active[farthest]))
            distance[farthest] = -1
            product = screen @ self.centres[self.taken - 1]
            near = np.flatnonzero(product > bar + self.half[self.taken - 1])
            difference = rows[near] - rows[farthest]
            distance[near] = np.minimum(distance[near], np.vecdot(difference, difference))
            bar[near], _ = self._bars(square[near], distance[near])
            farthest = int(distance.argmax())
        self.bound[active] = self.distance[active] = distance
        self.seen[active] = self.counted[active] = self.taken


def _largest(
    bound: npt.NDArray[np.float64], among: npt.NDArray[np.int64], count: int, outside: float
) -> tuple[npt.NDArray[np.int64], float]:
    """The `count` indices with the largest bounds (and all ties), ascending; the largest bound left out.

    `outside`: the largest bound of the rows that are not among the indices.
    """
    values = bound[among]
    if len(values) <= count:
        return among, outside
    threshold = np.partition(values, len(values) - count)[len(values) - count]
    inside = values >= threshold
    left = values[~inside]
    return among[inside], max(outside, float(left.max())) if len(left) else outside
