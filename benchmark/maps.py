"""From patch score grids to anomaly maps, as the evaluation needs them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import MapPost
from ltbench.methods.blocks.score_maps import anomaly_maps, maps_after, smoothing_upsampler, upsampler

__all__ = ["MapsOfGrids", "anomaly_maps", "smoothing_upsampler", "upsampler"]


class MapsOfGrids:
    """Anomaly maps (N, size, size) that are made from patch scores (N, h, w) wherever they are wanted.

    Whoever sorts them has them made in the very buffer that is sorted, which saves a copy of all pixels.
    """

    def __init__(self, grids: npt.NDArray[np.float32], size: int, post: MapPost) -> None:
        self._grids, self._post = grids, post
        self.shape = (len(grids), size, size)
        self.dtype = np.dtype(np.float32)

    def fill(self, out: npt.NDArray[Any]) -> None:
        """Put the maps into `out`, float32 of this shape."""
        maps_after(self._grids, self.shape[1], self._post, out)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        made = np.empty(self.shape, self.dtype)
        self.fill(made)
        return made if dtype is None else made.astype(dtype, copy=False)
