"""Anomaly maps from patch score grids: upsampling and Gaussian smoothing as two matrix products."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ltbench.methods.base import MapPost
from ltbench.methods.blocks.threads import one_blas_thread

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]
Upsampling = Literal["bilinear", "bilinear_corners", "nearest"]

TRUNCATE = 4.0
"""Standard deviations at which the Gaussian is truncated, as in scipy.ndimage.gaussian_filter."""


def anomaly_maps(
    grids: Floats,
    size: int,
    sigma: float = 4.0,
    upsample: Upsampling = "bilinear",
    out: Floats | None = None,
) -> Floats:
    """Upsample patch scores and smooth them with a mirrored border, see `maps_after`.

    Args:
        grids: (N, h, w) patch scores.
        size: Side of the maps in pixels.
        sigma: Standard deviation of the Gaussian in pixels of the map; 0 = no smoothing.
        upsample: "bilinear", "bilinear_corners" (align_corners=True) or "nearest".
        out: Buffer for the maps.

    Returns:
        float32 (N, size, size).
    """
    return maps_after(grids, size, MapPost(sigma, upsample), out)


def maps_after(grids: Floats, size: int, post: MapPost, out: Floats | None = None) -> Floats:
    """Turn patch scores (N, h, w) into anomaly maps by the method's upsampling and smoothing.

    All steps are linear and separable, so a map is A X B^T with fixed A and B: 0.1 ms per 256 x 256 map.
    Equal to torch's interpolation followed by scipy's `gaussian_filter` (mode "reflect", or "constant" for a
    border of zeros) within 1e-6 of the range of the scores.

    Args:
        grids: (N, h, w) patch scores.
        size: Side of the maps in pixels.
        post: Upsampling, smoothing and border.
        out: Buffer for the maps; a new array if None.

    Returns:
        float32 (N, size, size).
    """
    grids = grids.astype(np.float32, copy=False)
    rows = smoothing_upsampler(grids.shape[1], size, post)
    columns = smoothing_upsampler(grids.shape[2], size, post)
    # Metrics must not depend on the number of threads that made the maps.
    with one_blas_thread():
        maps: Floats = np.matmul(rows @ grids, columns.T, out=out)
    return maps


def anomaly_map_tensor(
    grids: torch.Tensor, size: int, sigma: float = 4.0, upsample: Upsampling = "bilinear"
) -> torch.Tensor:
    """Compute `anomaly_maps` of an (N, h, w) tensor on its device: float32 (N, size, size)."""
    import torch

    rows, columns = (
        torch.from_numpy(smoothing_upsampler(cells, size, MapPost(sigma, upsample)).copy()).to(grids.device)
        for cells in grids.shape[1:]
    )
    return rows @ grids.float() @ columns.T


@lru_cache(maxsize=64)
def smoothing_upsampler(cells: int, size: int, post: MapPost) -> Floats:
    """Build the (size, cells) matrix G U, where U upsamples a line of `cells` values and G smooths it."""
    if post.via is None:
        matrix = upsampler(cells, size, post.upsample)
    else:
        matrix = upsampler(post.via, size, "bilinear") @ upsampler(cells, post.via, post.upsample)
    if post.sigma > 0 and post.radius != 0:
        mode = "constant" if post.border == "zero" else "reflect"
        matrix = ndimage.gaussian_filter1d(
            matrix, post.sigma, axis=0, mode=mode, truncate=TRUNCATE, radius=post.radius
        )
    shared = matrix.astype(np.float32)
    # The cache hands the same array to all callers.
    shared.flags.writeable = False
    return shared


def largest_of_smoothed(grids: Floats, size: int, post: MapPost) -> Floats:
    """Maximum of each image's anomaly map, (N,): the image score of PaDiM. Holds 64 maps at a time."""
    parts = [
        maps_after(grids[low : low + 64], size, post).max(axis=(1, 2)) for low in range(0, len(grids), 64)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def upsampler(cells: int, size: int, upsample: Upsampling) -> npt.NDArray[np.float64]:
    """Build the (size, cells) interpolation matrix of one axis; every row sums to 1."""
    target = np.arange(size)
    if upsample == "nearest":
        matrix = np.zeros((size, cells))
        matrix[target, target * cells // size] = 1.0
        return matrix
    if upsample == "bilinear_corners":
        position = target * (cells - 1) / max(size - 1, 1)
    else:
        position = np.clip((target + 0.5) * cells / size - 0.5, 0, cells - 1)
    left = np.minimum(position.astype(int), max(cells - 2, 0))
    share = position - left
    matrix = np.zeros((size, cells))
    matrix[target, left] = 1.0 - share
    matrix[target, np.minimum(left + 1, cells - 1)] += share
    return matrix
