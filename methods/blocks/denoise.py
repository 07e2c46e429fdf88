"""Patch-level denoising of SoftPatch and TailedCore: the patches with the largest outlier factors go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltbench.methods.blocks.outliers import lof_per_position, quantile
from ltbench.methods.blocks.projection import project
from ltbench.methods.errors import BadParameter

Rows = npt.NDArray[np.float32]
Pooling = Literal["all", "position"]


ALL_ALIKE = (
    "Where no patch lies below the filter's threshold (at most two images, copies of one image), all at the "
    "threshold stay, as in SoftPatch's own code; TailedCore's keeps none and stops with an error."
)
"""Deviation of methods that denoise, for their cards."""


@dataclass(frozen=True)
class Denoised:
    """Outlier factors and the patches kept, image by image and row by row of the grid."""

    factor: Rows
    """(N h w,), local outlier factor of each patch."""
    kept: npt.NDArray[np.bool_]
    """(N h w,), true = inlier."""


def denoise(
    vectors: Rows,
    *,
    neighbours: int,
    removed: float,
    projection: int | None,
    rng: np.random.Generator,
    pooling: Pooling = "all",
    device: str = "cpu",
) -> Denoised:
    """Mark the patches whose local outlier factor at their position is among the largest.

    A patch at the threshold is removed, unless no patch lies below the threshold (a single image, copies of
    one image): then patches at the threshold are kept.

    Args:
        vectors: (N, h, w, D) patch features of images of all classes.
        neighbours: Number of neighbours of the local outlier factor.
        removed: Share of patches to remove, in [0, 1).
        projection: Dimensions of the random projection in which neighbours are sought; None = none.
        rng: Random numbers of the projection.
        pooling: "all" = one threshold for all positions, "position" = one for each.
        device: Device of the factors, see `lof_per_position`.

    Raises:
        BadParameter: For fewer than one neighbour or a share outside [0, 1).
    """
    if neighbours < 1 or not 0 <= removed < 1:
        raise BadParameter(
            f"neighbours is {neighbours} and removed {removed}: expected at least 1, and [0, 1)"
        )
    images, rows, columns, dim = vectors.shape
    flat = vectors.reshape(-1, dim)
    reduced = project(flat, projection, rng)
    positions = reduced.reshape(images, rows * columns, -1).transpose(1, 0, 2)
    factor = lof_per_position(positions, neighbours, device=device)
    pools = factor[None] if pooling == "all" else factor
    kept = np.stack([_inliers(pool, removed) for pool in pools]).reshape(factor.shape)
    return Denoised(factor.T.reshape(-1).astype(np.float32), kept.T.reshape(-1))


def _inliers(factor: npt.NDArray[np.float64], removed: float) -> npt.NDArray[np.bool_]:
    """Flag the factors below the 1 - `removed` quantile; those at the quantile if none lies below."""
    if removed == 0:
        return np.ones(factor.shape, bool)
    threshold = quantile(factor, 1.0 - removed)
    kept = factor < threshold
    return kept if kept.any() else factor <= threshold
