"""PaDiM: a Gaussian of patch features at every position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from methods.base import Card, Context, MapPost, Need, Prediction
from methods.blocks.gaussians import GaussianField
from methods.features.embed import EmbeddingName, PatchEmbedder, Patches
from splits.images import ImageSet


@dataclass
class PaDiM:
    """Mahalanobis distance to one Gaussian per position over randomly chosen channels."""

    card: ClassVar[Card] = Card(
        title="PaDiM",
        family="statistics",
        summary="Models the patch features at every position by one Gaussian over all training images. "
        "With many "
        "products in one model the Gaussians blur, and moving objects have no position.",
        paper="Defard et al., ICPR 2021",
        url="https://arxiv.org/abs/2011.08785",
        bibtex="""@inproceedings{defard2021padim,
  title     = {{PaDiM}: a Patch Distribution Modeling Framework for Anomaly Detection and Localization},
  author    = {Defard, Thomas and Setkov, Aleksandr and Loesch, Angelique and Audigier, Romaric},
  booktitle = {ICPR International Workshops and Challenges},
  year      = {2021}
}""",
        licence="no official code",
        deviations=(
            "The image score is the maximum of the patch scores smoothed on their own grid; the "
            "reference smooths "
            "the upsampled map (field smooth_image_score).",
            "channels: at most 100 of the backbone's; the paper takes 100 for ResNet-18 and 550 for "
            "Wide-ResNet-50.",
            "backbone and grid: 'tiny' on 14 x 14; the paper's are 'timm:wide_resnet50_2.tv_in1k' with "
            "layer1-3 "
            "on 56 x 56 (set embedding=concat, layers and grid=none).",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 1

    backbone: str = "tiny"
    """Frozen features; the paper's: timm:wide_resnet50_2.tv_in1k."""
    layers: tuple[str, ...] = ()
    """Layers of the backbone; none = its default."""
    embedding: EmbeddingName = "concat"
    """Patch vectors: 'concat' (paper) or 'patchcore'."""
    grid: int | None = 14
    """Side of the grid of Gaussians; none = the backbone's own."""
    channels: int = 100
    """Randomly chosen dimensions of the patch vectors."""
    ridge: float = 0.01
    """Added to the diagonal of every covariance."""
    smooth_image_score: bool = True
    """Smooth the patch scores before taking their maximum as the image score."""

    def fit(self, train: ImageSet, context: Context) -> None:
        self._embedder = PatchEmbedder(
            self.backbone, context, layers=self.layers, embedding=self.embedding, grid=self.grid
        )
        self._embedder.learn_scales(train)
        self._chosen: np.ndarray | None = None
        self._field = GaussianField(self.ridge)
        for batch in self._embedder.batches(train, title="fit Gaussians"):
            if self._chosen is None:
                dim = batch.vectors.shape[-1]
                chosen = context.rng.permutation(dim)[: min(self.channels, dim)]
                self._chosen = np.sort(chosen)
            self._field.add(self._reduced(batch))
        self._field.finish()

    def score(self, test: ImageSet, context: Context) -> Prediction:
        grids = np.concatenate(
            [
                self._field.distance(self._reduced(batch)).reshape(batch.vectors.shape[:3])
                for batch in self._embedder.batches(test, title="score test images")
            ]
        )
        post = MapPost()
        judged = grids
        if self.smooth_image_score:
            # The map's Gaussian in units of grid cells.
            sigma = post.sigma * grids.shape[1] / context.view.crop
            judged = ndimage.gaussian_filter(grids, (0, sigma, sigma))
        return Prediction(scores=judged.max(axis=(1, 2)), grids=grids, post=post)

    def _reduced(self, batch: Patches) -> np.ndarray:
        images, rows, columns, dim = batch.vectors.shape
        return batch.vectors.reshape(images, rows * columns, dim)[:, :, self._chosen]
