"""Random scores: what every number on a board has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ltbench.methods.base import Card, Context, MapPost, Need, Prediction
from ltbench.splits.images import ImageSet


@dataclass
class Chance:
    """Draws a uniform grid per image, without looking at it."""

    card: ClassVar[Card] = Card(
        title="Chance",
        family="baseline",
        summary="Random scores and maps. Whatever does not clearly beat this row has not seen the defects.",
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 1

    grid: int = 14
    """Side of the random patch score grid."""

    def fit(self, train: ImageSet, context: Context) -> None:
        """Draw a seed, so that scoring twice gives the same answer; nothing is learned."""
        self._seed = int(context.rng.integers(2**63))

    def score(self, test: ImageSet, context: Context) -> Prediction:
        draws = np.random.default_rng(self._seed)
        grids = draws.random((len(test), self.grid, self.grid), dtype=np.float32)
        return Prediction(scores=grids.max(axis=(1, 2)), grids=grids, post=MapPost())
