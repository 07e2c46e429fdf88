"""One Gaussian per patch position, fitted in one pass over the images, and the Mahalanobis distance to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.blocks.on_device import is_gpu
from ltbench.methods.errors import BadParameter, MethodsError

Rows = npt.NDArray[np.float32]


class GaussianField:
    """Mean and covariance of vectors at each of P positions (PaDiM, Defard et al. 2021, section 3.2).

    Statistics are summed in float64 relative to the first image, which avoids cancellation. The covariance
    has n - 1 in its denominator and `ridge` added to its diagonal; with fewer images than dimensions only the
    ridge makes it invertible, and for a single image the covariance is the ridge alone.

    Args:
        ridge: Positive number added to the diagonal of each covariance.
        standardise: Divide every dimension by its standard deviation over all positions and images first, so
            that the ridge has the same effect on each.
        device: A GPU stores and computes everything; other devices use the CPU.

    Raises:
        BadParameter: For a ridge that is not positive.
    """

    def __init__(self, ridge: float = 0.01, *, standardise: bool = False, device: str = "cpu") -> None:
        if ridge <= 0:
            raise BadParameter(
                f"ridge is {ridge}: expected a positive number, or no covariance is invertible"
            )
        self._ridge = ridge
        self._standardise = standardise
        self._device = torch.device(device if is_gpu(device) else "cpu")
        self._count = 0

    def add(self, vectors: Rows) -> None:
        """Add (B, P, D) vectors of B images to the statistics."""
        values = self._by_position(vectors)
        if self._count == 0:
            self._origin = values[:, 0].clone()
            positions, dim = self._origin.shape
            self._sum = self._origin.new_zeros(positions, dim)
            self._product = self._origin.new_zeros(positions, dim, dim)
        values = values - self._origin[:, None]
        self._sum += values.sum(dim=1)
        self._product.baddbmm_(values.transpose(1, 2), values)
        self._count += values.shape[1]

    def finish(self) -> None:
        """Compute mean and Cholesky factors; no image can be added afterwards.

        Raises MethodsError if no image was added.
        """
        if self._count == 0:
            raise MethodsError("the training set is empty: a Gaussian needs at least one image")
        shift = self._sum / self._count
        self.mean = self._origin + shift
        covariance = self._product.baddbmm_(shift[:, :, None], shift[:, None], alpha=-self._count)
        self.scale = self.mean.new_ones(self.mean.shape[1])
        if self._standardise:
            self.scale = self._spread(covariance.diagonal(dim1=1, dim2=2) / self._count)
        covariance /= max(self._count - 1, 1)
        covariance /= self.scale[:, None] * self.scale
        covariance.diagonal(dim1=1, dim2=2).add_(self._ridge)
        # In place and in parts: one copy of 550 dimensions at 3136 positions takes 7.6 GB.
        for part in covariance.split(64):
            part.copy_(torch.linalg.cholesky(part))
        self._factor = covariance
        del self._product, self._sum

    def distance(self, vectors: Rows) -> Rows:
        """Mahalanobis distance of (B, P, D) vectors, (B, P)."""
        values = self._by_position(vectors) - self.mean[:, None]
        values /= self.scale
        whitened = torch.linalg.solve_triangular(self._factor, values.transpose(1, 2), upper=False)
        result: Rows = whitened.square_().sum(dim=1).sqrt().T.float().cpu().numpy()
        return result

    def _by_position(self, vectors: Rows) -> torch.Tensor:
        """Arrange (B, P, D) vectors as float64 (P, B, D) on the device."""
        return torch.from_numpy(np.ascontiguousarray(vectors)).to(self._device).double().transpose(0, 1)

    def _spread(self, within: torch.Tensor) -> torch.Tensor:
        """Standard deviation (D,) over positions and images, 1 for a constant dimension."""
        variance = within.clamp_min(0).mean(dim=0) + self.mean.var(dim=0, correction=0)
        return torch.where(variance > 0, variance, 1.0).sqrt()
