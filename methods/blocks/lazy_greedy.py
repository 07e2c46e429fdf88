"""Farthest-point selection on a CPU: the same rows as the plain loop, with far less arithmetic."""

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
"""Rows kept up to date at a time; between 4 and 32 thousand, the time differs by 10 to 20 %."""
ACTIVE = 512
"""Rows that the plain loop runs on: few enough to stay in the second-level cache."""
BLOCK = 1024
"""Rows and centres per product, so that the product stays in the cache until it is reduced."""


class LazyGreedy:
    """Farthest-point selection with lazily updated distances.

    A row's distance to the nearest centre only shrinks, so its distance to the first few centres is an upper
    bound. The rows with the largest bounds form a pool, whose bounds are tightened by float32 products with
    the centres added since. Exact distances are computed only for the farthest few rows of the pool, and the
    plain loop runs on these until its maximum may no longer be the global one. Products tell which centres
    may be nearest, by a rounding bound that holds for any order of summation; direct differences in float64
    decide.
    """

    def __init__(self, rows: Rows) -> None:
        count, dim = rows.shape
        self.rows = rows
        self.square = np.vecdot(rows, rows).astype(np.float64)
        self.distance = np.full(count, np.inf)
        """Squared distance to the nearest of the first counted[i] centres; -1 = is a centre."""
        self.counted = np.zeros(count, np.int64)
        self.bound = np.full(count, np.inf)
        """Upper bound: squared distance to the nearest of the first seen[i] centres; -1 = is a centre."""
        self.seen = np.zeros(count, np.int64)
        self.taken = 0
        self.chosen = np.empty(0, np.int64)
        self.centres = np.empty((0, dim), np.float32)
        self.half = np.empty(0, np.float32)
        """Half the squared length of each centre: |x - c|² = |x|² - 2 (x·c - |c|²/2)."""
        self.slack = 2 * (dim + 8) * ROUNDING

    @property
    def finite(self) -> npt.NDArray[np.bool_]:
        """Flags (N,) of the rows whose squared differences cannot overflow float32."""
        return np.asarray(self.square < np.finfo(np.float32).max / 8)

    def select(self, m: int, *, first: int | None = None, anchors: Indices | None = None) -> Indices:
        """Select m rows and return their indices in the order of selection.

        Args:
            m: Number of rows.
            first: Row that is selected first.
            anchors: Rows whose mean distance to each row initialises its distance.
        """
        self.chosen, self.half = np.empty(m, np.int64), np.empty(m, np.float32)
        self.centres = np.empty((m, self.rows.shape[1]), np.float32)
        if first is not None:
            self._take(first)
            value = self.rows @ self.centres[0] - self.half[0]
            self.bound = np.minimum(self.bound, self._upper_bound(value, self.square))
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
                self._compute_distances(active)
                if self.distance[active].max() > max(rival, 0):
                    self._run_plain_loop(active, max(rival, 0))
                elif rival <= max(outside, 0):
                    break
        return self.chosen

    def _squared_distance(self, index: int) -> npt.NDArray[np.float64]:
        """Squared distance of each row to one row, float64 (N,), by direct differences."""
        distance = np.empty(len(self.rows))
        for low in range(0, len(self.rows), BLOCK):
            difference = self.rows[low : low + BLOCK].astype(np.float64)
            difference -= self.rows[index]
            distance[low : low + BLOCK] = np.vecdot(difference, difference)
        return distance

    def _take(self, index: int) -> None:
        """Add a row to the centres."""
        self.chosen[self.taken] = index
        self.centres[self.taken] = self.rows[index]
        self.half[self.taken] = self.square[index] / 2
        self.bound[index] = self.distance[index] = -1
        self.taken += 1

    def _take_duplicates(self) -> None:
        """Select the lowest indices left, as the plain loop does once all rows coincide with a centre."""
        for index in np.flatnonzero(self.bound >= 0)[: len(self.chosen) - self.taken]:
            self._take(int(index))

    def _product_thresholds(
        self, square: npt.NDArray[np.float64], distance: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Values of x·c - |c|²/2 above which a centre may be nearer than `distance`, and their largest error.

        A centre nearer than d has |c|² <= 2 |x|² + 2 d.
        """
        error = self.slack * (3 * square + 2 * np.maximum(distance, 0))
        return (square - distance) / 2 - error, error

    def _stale_blocks(self, indices: Indices, met: Indices) -> Iterator[tuple[Indices, slice]]:
        """Yield blocks of rows with the blocks of centres that they have not been compared with yet."""
        stale = indices[met[indices] < self.taken]
        # Sorted, the rows of a block lack about the same centres.
        stale = stale[np.argsort(met[stale], kind="stable")]
        for low in range(0, len(stale), BLOCK):
            block = stale[low : low + BLOCK]
            for first in range(met[block[0]], self.taken, BLOCK):
                yield block, slice(first, min(first + BLOCK, self.taken))
        met[stale] = self.taken

    def _products(self, rows: Rows, centres: slice) -> Rows:
        """Compute x·c - |c|²/2 as (centres, rows), so that reductions run along contiguous memory."""
        # torch.mm is a quarter faster than NumPy's product.
        product = torch.mm(torch.from_numpy(self.centres[centres]), torch.from_numpy(rows).T).numpy()
        product -= self.half[centres, None]
        return product

    def _tighten(self, indices: Indices) -> bool:
        """Update the bounds to all centres by products alone; True if any was out of date."""
        stale = False
        for block, centres in self._stale_blocks(indices, self.seen):
            best = self._products(self.rows[block], centres).max(axis=0)
            self.bound[block] = np.minimum(self.bound[block], self._upper_bound(best, self.square[block]))
            stale = True
        return stale

    def _upper_bound(self, value: Rows, square: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Upper bound of the squared distance to a centre, given its x·c - |c|²/2."""
        bound = square - 2 * value
        # |c|² <= 4 |x|² + 2 |x - c|², and |x - c|² is about the bound itself.
        bound += self.slack * 8 * (square + np.abs(bound))
        return bound

    def _compute_distances(self, indices: Indices) -> None:
        """Compute the exact distances to the nearest of all centres."""
        for block, centres in self._stale_blocks(indices, self.counted):
            rows, distance = self.rows[block], self.distance[block]
            product = self._products(rows, centres)
            best = product.max(axis=0)
            bar, error = self._product_thresholds(self.square[block], np.minimum(distance, self.bound[block]))
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
        """Select the farthest of `active`, whose distances are exact, while it is farther than `rival`."""
        screen = self.rows[active]
        rows = screen.astype(np.float64)
        square, distance = self.square[active], self.distance[active]
        bar, _ = self._product_thresholds(square, distance)
        farthest = int(distance.argmax())
        while distance[farthest] > rival and self.taken < len(self.chosen):
            self._take(int(active[farthest]))
            distance[farthest] = -1
            product = screen @ self.centres[self.taken - 1]
            near = np.flatnonzero(product > bar + self.half[self.taken - 1])
            difference = rows[near] - rows[farthest]
            distance[near] = np.minimum(distance[near], np.vecdot(difference, difference))
            bar[near], _ = self._product_thresholds(square[near], distance[near])
            farthest = int(distance.argmax())
        self.bound[active] = self.distance[active] = distance
        self.seen[active] = self.counted[active] = self.taken


def _largest(
    bound: npt.NDArray[np.float64], among: npt.NDArray[np.int64], count: int, outside: float
) -> tuple[npt.NDArray[np.int64], float]:
    """Indices of the `count` largest bounds (and all ties), ascending, and the largest bound left out.

    Args:
        bound: (N,) bounds of all rows.
        among: Indices to choose from, ascending.
        count: Number of indices wanted.
        outside: Largest bound of the rows that are not in `among`.
    """
    values = bound[among]
    if len(values) <= count:
        return among, outside
    threshold = np.partition(values, len(values) - count)[len(values) - count]
    inside = values >= threshold
    left = values[~inside]
    return among[inside], max(outside, float(left.max())) if len(left) else outside
