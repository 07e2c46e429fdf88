"""Which patches are unlike the patches of other images at the same position: LOF, and a quantile of many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def lof_per_position(X: Floats, k: int = 6) -> npt.NDArray[np.float64]:
    """Local outlier factor of every patch among the patches of all images at its position, (P, n).

    X: (P, n, D), P positions of n images. k neighbours, n - 1 where there are fewer; a single image has no
    neighbours and factor 1. Equal to -negative_outlier_factor_ of scikit-learn (Breunig et al. 2000) with
    Euclidean distances, one position at a time, so that n^2 distances of one position are all that is held.
    """
    positions, n, _ = X.shape
    if n < 2:
        return np.ones((positions, n))
    return np.stack([_lof(np.asarray(rows, dtype=np.float64), min(k, n - 1)) for rows in X])


def _lof(rows: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    distance, neighbour = _nearest(rows, k)
    reach = np.maximum(distance, distance[:, -1][neighbour])
    # The constant keeps the density of duplicates finite, as in scikit-learn.
    density = 1.0 / (reach.mean(axis=1) + 1e-10)
    factor: npt.NDArray[np.float64] = density[neighbour].mean(axis=1) / density
    return factor


def _nearest(rows: npt.NDArray[np.float64], k: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Distances (n, k), ascending, and indices of the nearest other rows."""
    # Centred rows are shorter, so that less is lost when their squares cancel.
    centred = rows - rows.mean(axis=0)
    square = np.einsum("ij,ij->i", centred, centred)
    rough = square[:, None] + square - 2.0 * (centred @ centred.T)
    np.fill_diagonal(rough, np.inf)
    # A few more than k by the rough distances, then the exact ones decide.
    wide = min(k + 4, len(rows) - 1)
    candidate = np.argpartition(rough, wide - 1, axis=1)[:, :wide]
    exact = np.sqrt(np.square(rows[candidate] - rows[:, None]).sum(axis=2))
    order = np.argsort(exact, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(exact, order, axis=1), np.take_along_axis(candidate, order, axis=1)


def quantile(values: Floats, share: float) -> float:
    """The `share` quantile of all values, with linear interpolation; any number of them."""
    return float(np.quantile(np.asarray(values).ravel(), share))
