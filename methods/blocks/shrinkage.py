"""Gaussian of image embeddings whose covariance is shrunk, so that few images suffice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltbench.methods.errors import MethodsError

Doubles = npt.NDArray[np.float64]


def ledoit_wolf(rows: Doubles) -> Doubles:
    """Covariance (D, D) of rows (n, D) shrunk towards a multiple of the identity (Ledoit & Wolf 2004).

    With S the covariance (denominator n), m = tr S / D and d^2 = |S - m I|^2, the share of m I is
    min(b^2, d^2) / d^2, where b^2 = (sum_k |x_k x_k^T - S|^2) / n^2.
    """
    count, dim = rows.shape
    centred = rows - rows.mean(axis=0)
    sample = centred.T @ centred / count
    middle = np.trace(sample) / dim
    spread = np.square(sample).sum() - dim * middle**2
    if spread <= 0:
        return sample
    fourth = np.square(np.square(centred).sum(axis=1)).sum()
    error = (fourth - count * np.square(sample).sum()) / count**2
    share = min(max(error, 0.0), spread) / spread
    shrunk = (1 - share) * sample
    shrunk[np.diag_indices(dim)] += share * middle
    return shrunk


class ShrunkGaussian:
    """Mean and shrunk covariance of rows (n, D), and the Mahalanobis distance to them.

    Args:
        rows: (n, D) embeddings.
        ridge: Number added to the diagonal, relative to the mean variance, so that the covariance of a single
            image or of equal images is invertible.

    Raises:
        MethodsError: Without a row.
    """

    def __init__(self, rows: npt.NDArray[np.floating], ridge: float = 1e-6) -> None:
        if not len(rows):
            raise MethodsError("the training set is empty: a Gaussian needs at least one image")
        exact = np.asarray(rows, np.float64)
        self.mean = exact.mean(axis=0)
        covariance = ledoit_wolf(exact)
        variance = np.trace(covariance) / len(covariance)
        covariance[np.diag_indices(len(covariance))] += ridge * variance if variance > 0 else 1.0
        self.precision = np.linalg.inv(covariance)

    def distance(self, rows: npt.NDArray[np.floating]) -> Doubles:
        """Mahalanobis distance (B,) of rows (B, D)."""
        shifted = np.asarray(rows, np.float64) - self.mean
        return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", shifted, self.precision, shifted), 0))
