"""Local outlier factor of patches among the patches of all images at the same position, and quantiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltbench.methods.blocks.on_device import is_gpu
from ltbench.methods.blocks.on_device import outliers as on_device

Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.float32]

CELLS = 1 << 20
"""Products held at a time: 4 MB, which stay in the cache until the nearest neighbours are selected."""
GROUP = 8
"""Columns that share one maximum while the threshold of a row is computed."""
ROUNDING = 2.0**-24
"""Unit round-off of float32."""


def lof_per_position(X: Floats, k: int = 6, *, device: str = "cpu") -> npt.NDArray[np.float64]:
    """Local outlier factor of every patch among the patches of all images at its position.

    Equal within 1e-6 to scikit-learn's -negative_outlier_factor_ (Breunig et al. 2000) with Euclidean
    distances. The working memory is independent of P and linear in n.

    Args:
        X: (P, n, D) patch features at P positions of n images.
        k: Number of neighbours, clipped to n - 1; a single image has factor 1.
        device: Device of the computation; on a GPU, some positions at a time.

    Returns:
        float64 (P, n).
    """
    positions, n, _ = X.shape
    if n < 2:
        return np.ones((positions, n))
    if is_gpu(device) and positions:
        parts = on_device.nearest_others(X.astype(np.float32, copy=False), min(k, n - 1), device)
        return np.concatenate([_factors(*part) for part in parts])
    factors = np.empty((positions, n))
    step = max(1, CELLS // (4 * n * n))
    for low in range(0, positions, step):
        part = slice(low, low + step)
        factors[part] = _factors(*_nearest_others(np.ascontiguousarray(X[part], np.float32), min(k, n - 1)))
    return factors


def _factors(distance: npt.NDArray[np.float64], neighbour: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """LOF (P, n) from ascending distances (P, n, k) and indices of the nearest neighbours."""
    flat = neighbour.reshape(len(neighbour), -1)
    shape = distance.shape
    reach = np.maximum(distance, np.take_along_axis(distance[..., -1], flat, axis=1).reshape(shape))
    # The constant keeps the density of duplicates finite, as in scikit-learn.
    density = 1.0 / (reach.mean(axis=2) + 1e-10)
    around = np.take_along_axis(density, flat, axis=1).reshape(shape).mean(axis=2)
    return np.asarray(around / density)


def _nearest_others(X: Rows, k: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Distances and indices of the k nearest other rows of the same position, both (P, n, k), ascending.

    A float32 product, with a margin for its rounding, selects candidates; direct differences decide.
    """
    positions, n, dim = X.shape
    # Centred rows are shorter, so that less is lost when their squares cancel.
    centred = X - X.mean(axis=1, keepdims=True)
    half = np.einsum("pij,pij->pi", centred, centred) / 2
    slack = 4 * (dim + 8) * ROUNDING * (half + half.max(axis=1, keepdims=True))
    distance, neighbour = np.empty((positions, n, k)), np.empty((positions, n, k), np.int64)
    step = max(1, CELLS // (positions * n))
    for low in range(0, n, step):
        rows = slice(low, min(low + step, n))
        count = rows.stop - low
        # Larger = nearer: |x|²/2 - |x - c|²/2.
        nearness = centred[:, rows] @ centred.transpose(0, 2, 1)
        nearness -= half[:, None]
        nearness[:, np.arange(count), np.arange(low, rows.stop)] = -np.inf
        row, column = _candidates(nearness.reshape(-1, n), k, slack[:, rows].reshape(-1))
        first = row // count * n
        squared = _squared(X.reshape(-1, dim), first + low + row % count, first + column)
        squared, nearest = _smallest(squared, row, column, k)
        distance[:, rows] = np.sqrt(squared).reshape(positions, count, k)
        neighbour[:, rows] = nearest.reshape(positions, count, k)
    return distance, neighbour


def _candidates(nearness: Rows, k: int, slack: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs (row, column), ascending, that can be among the k largest of their row; at least k per row.

    The k-th largest of the maxima of disjoint groups is at most the k-th largest of all values. Where too
    many are equally near (copies), the ones with the largest products are kept.
    """
    count, n = nearness.shape
    size = max(1, min(GROUP, n // (4 * k)))
    width = n // size
    maxima = nearness[:, : width * size].reshape(count, size, width).max(axis=1)
    if width * size < n:
        maxima = np.concatenate([maxima, nearness[:, width * size :]], axis=1)
    threshold = np.partition(maxima, maxima.shape[1] - k, axis=1)[:, maxima.shape[1] - k] - slack
    near = nearness >= threshold[:, None]
    limit = 4 * k + 16
    for crowded in np.flatnonzero(np.count_nonzero(near, axis=1) > limit):
        near[crowded] = False
        near[crowded, np.argpartition(nearness[crowded], n - limit)[n - limit :]] = True
    return np.divmod(np.flatnonzero(near), n)


def _squared(rows: Rows, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> Rows:
    """Squared distances between rows[left] and rows[right], in cache-sized parts."""
    out = np.empty(len(left), np.float32)
    for low in range(0, len(left), 512):
        part = slice(low, low + 512)
        difference = rows[left[part]]
        difference -= rows[right[part]]
        out[part] = np.einsum("ij,ij->i", difference, difference)
    return out


def _smallest(
    values: Rows, row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], k: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The k smallest values of every row, ascending, and their columns; of equal ones the lowest column."""
    counts = np.bincount(row)
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(row)) - np.repeat(starts, counts)
    table = np.full((len(counts), counts.max()), np.inf)
    table[row, rank] = values
    order = np.argsort(table, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(table, order, axis=1), column[starts[:, None] + order]


def quantile(values: Floats, share: float) -> float:
    """Quantile of all values with linear interpolation, as numpy.quantile; `share` in [0, 1]."""
    values = np.asarray(values).ravel()
    position = share * (len(values) - 1)
    low = int(position)
    high = min(low + 1, len(values) - 1)
    ends = np.partition(values, [low, high])[[low, high]].astype(np.float64)
    return float(ends[0] + (position - low) * (ends[1] - ends[0]))
