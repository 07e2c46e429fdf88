"""Image scores from anomaly maps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ltbench.methods.base import MapPost
from ltbench.methods.blocks.score_maps import maps_after

Floats = npt.NDArray[np.float32]
_MAPS_AT_ONCE = 64


def largest_of_pooled(grids: Floats, size: int, post: MapPost, window: int) -> Floats:
    """Maximum of each image's anomaly map after average pooling with stride 1 and no padding.

    The image score of UniAD and HVQ-Trans (window 16) and of DRAEM (window 21).

    Args:
        grids: (N, h, w) patch scores.
        size: Side of the anomaly map in pixels.
        post: Upsampling and smoothing from grid to map.
        window: Side of the pooling window in pixels; a larger window than the map is clipped to it.

    Returns:
        (N,) float32.
    """
    window = min(window, size)
    parts = []
    for low in range(0, len(grids), _MAPS_AT_ONCE):
        maps = maps_after(grids[low : low + _MAPS_AT_ONCE], size, post)
        means = ndimage.uniform_filter(maps.astype(np.float64), (0, window, window), mode="nearest")
        # Centres of the windows that lie inside; an even window's centre is right of its middle.
        first, last = window // 2, size - (window - 1) // 2
        parts.append(means[:, first:last, first:last].max(axis=(1, 2)))
    return np.concatenate(parts).astype(np.float32) if parts else np.empty(0, np.float32)
