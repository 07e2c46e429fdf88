"""Patch-level denoising of SoftPatch and TailedCore: patches unlike those of other images are left out."""

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
    """Which patches stay, image by image and row by row of the grid."""

    factor: Rows
    """(N h w,), local outlier factor."""
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
    """Mark the `removed` share of patches with the largest local outlier factor at their position.

    vectors: (N, h, w, D). The factor is computed among all images, whatever they show, in a random
    projection. pooling: one threshold for all positions, or one for each. A patch at the threshold goes; but
    where none lies below it (one image, copies), what does not exceed it stays. device: see lof_per_position.
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
    judged_together = factor[None] if pooling == "all" else factor
    kept = np.stack([_below(values, removed) for values in judged_together]).reshape(factor.shape)
    return Denoised(factor.T.reshape(-1).astype(np.float32), kept.T.reshape(-1))


def _below(factor: npt.NDArray[np.float64], removed: float) -> npt.NDArray[np.bool_]:
    if removed == 0:
        return np.ones(factor.shape, bool)
    threshold = quantile(factor, 1.0 - removed)
    kept = factor < threshold
    return kept if kept.any() else factor <= threshold
