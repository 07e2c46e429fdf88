"""From anomaly maps to one score per image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ltbench.methods.base import MapPost
from ltbench.methods.blocks.score_maps import maps_after

Floats = npt.NDArray[np.float32]
_MAPS_AT_ONCE = 64


def largest_of_pooled(grids: Floats, size: int, post: MapPost, window: int) -> Floats:
    """Maximum of each image's map after a `window` x `window` mean, stride 1, over whole windows only: (N,).

    grids: (N, h, w) patch scores; size: side of the map in pixels. The image score of UniAD and HVQ
    (window 16) and of DRAEM (21). A window larger than the map counts as the map.
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
