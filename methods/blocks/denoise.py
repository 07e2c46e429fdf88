"""Patch-level denoising of SoftPatch and TailedCore: patches unlike those of other images are left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from methods.blocks.coreset import project
from methods.blocks.outliers import lof_per_position, quantile

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Denoised:
    """Which patches stay, image by image and row by row of the grid."""

    factor: Rows
    """(N h w,), local outlier factor."""
    kept: npt.NDArray[np.bool_]
    """(N h w,), true = inlier."""


def denoise(
    vectors: Rows, *, neighbours: int, removed: float, projection: int | None, rng: np.random.Generator
) -> Denoised:
    """Mark the `removed` share of patches with the largest local outlier factor at their position.

    vectors: (N, h, w, D). The factor is computed among all images, whatever they show, in a random
    projection; one threshold holds for all positions. Where nearly all factors are equal (one image, or
    copies) nothing lies below the threshold: then what does not exceed it is kept.
    """
    images, rows, columns, dim = vectors.shape
    flat = vectors.reshape(-1, dim)
    reduced = flat if projection is None else project(flat, projection, rng)
    positions = reduced.reshape(images, rows * columns, -1).transpose(1, 0, 2)
    factor = lof_per_position(positions, neighbours).T.reshape(-1)
    threshold = quantile(factor, 1.0 - removed)
    kept = factor < threshold
    if not kept.any():
        kept = factor <= threshold
    return Denoised(factor.astype(np.float32), kept)
