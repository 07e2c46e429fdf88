"""`mean_colour`: images whose mean colour is far from that of the training images are anomalous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.splits.images import ImageSet


@dataclass
class MeanColour:
    """Distance of an image's mean colour to the nearest mean colours of training images."""

    card: ClassVar[Card] = Card(
        title="Mean colour",
        family="baseline",
        summary="Distance of an image's mean colour to the nearest mean colour of a training image.",
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 1

    neighbours: int = 1
    """Nearest training images whose distances are averaged."""

    def fit(self, train: ImageSet, context: Context) -> None:
        """Remember the mean colour of every training image."""
        self._colours = self._of(train, context, "fit")

    def score(self, test: ImageSet, context: Context) -> Prediction:
        """Score images; without maps, so that pixel metrics stay empty and say why."""
        colours = self._of(test, context, "score")
        distances = np.linalg.norm(colours[:, None] - self._colours[None], axis=2)
        nearest = np.sort(distances, axis=1)[:, : self.neighbours]
        return Prediction(scores=nearest.mean(axis=1).astype(np.float32))

    @staticmethod
    def _of(images: ImageSet, context: Context, title: str) -> np.ndarray:
        indices = context.progress(range(len(images)), title)
        return np.stack([images[index].mean(axis=(0, 1)) for index in indices])
