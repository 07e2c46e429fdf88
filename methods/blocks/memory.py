"""Memory bank of patch features that scores images by nearest-neighbour distance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import Prediction
from ltbench.methods.blocks.neighbors import ExactIndex
from ltbench.methods.features.embed import Patches

Rows = npt.NDArray[np.float32]


class MemoryBank:
    """Exact nearest-neighbour search with squared Euclidean distances, optionally weighted per row.

    Distances stay squared, as in the code of PatchCore, SoftPatch and TailedCore.

    Args:
        rows: (n, D) patch features.
        weights: (n,) factor on the distance to each row; the neighbour is found without it (SoftPatch, Jiang
            et al. 2022, eq. 8).
        device: Device of the search.
    """

    def __init__(self, rows: Rows, *, weights: Rows | None = None, device: str = "cpu") -> None:
        self._index = ExactIndex(rows, device=device)
        self._weights = weights
        self.megabytes = rows.nbytes / 1e6
        """Size of the rows in megabytes."""

    def grids(self, vectors: Rows) -> Rows:
        """Score (B, h, w, D) patch vectors: (B, h, w)."""
        distance, nearest = self._index.search(vectors.reshape(-1, vectors.shape[-1]))
        scores = distance[:, 0]
        if self._weights is not None:
            scores = scores * self._weights[nearest[:, 0]]
        return scores.reshape(vectors.shape[:3]).astype(np.float32)

    def predict(self, batches: Iterable[Patches], count: int) -> Prediction:
        """Score `count` images patch by patch; an image's score is its largest patch score, unsmoothed."""
        parts = [self.grids(batch.vectors) for batch in batches]
        grids = np.concatenate(parts) if parts else np.zeros((count, 1, 1), np.float32)
        return Prediction(scores=grids.max(axis=(1, 2)), grids=grids)
