"""One Gaussian per position, fitted in one pass over the images, and the Mahalanobis distance to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Rows = npt.NDArray[np.float32]


class GaussianField:
    """Mean and covariance of vectors at each of P positions (Defard et al. 2021, section 3.2).

    Statistics are summed in float64 around the first image, so that nothing cancels; the covariance has
    n - 1 in its denominator and `ridge` on its diagonal. With fewer images than dimensions the ridge alone
    makes it invertible.
    """

    def __init__(self, ridge: float = 0.01) -> None:
        self._ridge = ridge
        self._count = 0

    def add(self, vectors: Rows) -> None:
        """Take in (B, P, D) vectors of B images."""
        values = torch.from_numpy(np.ascontiguousarray(vectors)).double().transpose(0, 1)
        if self._count == 0:
            self._origin = values[:, 0]
            positions, dim = self._origin.shape
            self._sum = torch.zeros(positions, dim, dtype=torch.float64)
            self._product = torch.zeros(positions, dim, dim, dtype=torch.float64)
        values = values - self._origin[:, None]
        self._sum += values.sum(dim=1)
        self._product.baddbmm_(values.transpose(1, 2), values)
        self._count += values.shape[1]

    def finish(self) -> None:
        """Fix mean and Cholesky factor; nothing more can be added."""
        shift = self._sum / self._count
        self.mean = self._origin + shift
        covariance = self._product - self._count * shift[:, :, None] * shift[:, None, :]
        covariance /= max(self._count - 1, 1)
        covariance.diagonal(dim1=1, dim2=2).add_(self._ridge)
        self._factor = torch.linalg.cholesky(covariance)
        del self._product, self._sum

    def distance(self, vectors: Rows) -> Rows:
        """Mahalanobis distance of (B, P, D) vectors, (B, P)."""
        values = torch.from_numpy(np.ascontiguousarray(vectors)).double().transpose(0, 1) - self.mean[:, None]
        whitened = torch.linalg.solve_triangular(self._factor, values.transpose(1, 2), upper=False)
        result: Rows = whitened.square().sum(dim=1).sqrt().T.float().numpy()
        return result
