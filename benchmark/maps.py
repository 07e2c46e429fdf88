"""From patch score grids to anomaly maps, as the evaluation needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import MapPost
from ltbench.methods.blocks.score_maps import anomaly_maps, maps_after, smoothing_upsampler, upsampler

__all__ = ["MapsOfGrids", "anomaly_maps", "smoothing_upsampler", "upsampler"]

CHUNK_IMAGES = 16


class MapsOfGrids:
    """Anomaly maps (N, size, size), made on demand from patch scores (N, h, w).

    They are written directly into the buffer that is sorted, or made chunk by chunk where all of them would
    take too much memory.
    """

    def __init__(self, grids: npt.NDArray[np.float32], size: int, post: MapPost) -> None:
        self._grids, self._post = grids, post
        self.shape = (len(grids), size, size)
        self.dtype = np.dtype(np.float32)

    def fill(self, out: npt.NDArray[Any]) -> None:
        """Put the maps into `out`, float32 of this shape."""
        maps_after(self._grids, self.shape[1], self._post, out)

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, len(self._grids), CHUNK_IMAGES):
            yield maps_after(self._grids[start : start + CHUNK_IMAGES], self.shape[1], self._post)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        made = np.empty(self.shape, self.dtype)
        self.fill(made)
        return made if dtype is None else made.astype(dtype, copy=False)
