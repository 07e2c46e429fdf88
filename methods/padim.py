"""PaDiM: a Gaussian of patch features at every position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import Card, Context, MapPost, Need, Prediction
from ltbench.methods.blocks.gaussians import GaussianField
from ltbench.methods.blocks.score_maps import largest_of_smoothed
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.embed import EmbeddingName, PatchEmbedder, Patches
from ltbench.methods.training.randomness import repeatable
from ltbench.splits.images import ImageSet

Rows = npt.NDArray[np.float32]


@dataclass
class PaDiM:
    """Mahalanobis distance to one Gaussian per position over randomly chosen channels."""

    card: ClassVar[Card] = Card(
        title="PaDiM",
        family="statistics",
        summary="Models the patch features at every position by one Gaussian over all training images. With"
        " many products in one model the Gaussians blur, and moving objects have no position.",
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
            "channels: at most 100 of the backbone's; the paper takes 100 for ResNet-18 and 550 for "
            "Wide-ResNet-50.",
            "standardise: every channel is brought to unit variance, so that the ridge means the same to "
            "each; the paper does not.",
            "Images are resized bilinearly; the usual re-implementation takes Lanczos' filter.",
            "Features of the backbone are rounded to float16.",
            "backbone and grid: the default is a smaller network, on 14 x 14; the paper's are "
            "'timm:wide_resnet50_2.tv_in1k' with layers=layer1,layer2,layer3 on 56 x 56 (grid=none).",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 2

    backbone: str = DEFAULT_BACKBONE
    """Frozen features; the paper's: timm:wide_resnet50_2.tv_in1k."""
    layers: tuple[str, ...] = ()
    """Layers of the backbone; none = its default."""
    embedding: EmbeddingName = "padim"
    """Patch vectors: 'padim' (paper) or 'patchcore'."""
    grid: int | None = 14
    """Side of the grid of Gaussians; none = the backbone's own."""
    channels: int = 100
    """Randomly chosen dimensions of the patch vectors."""
    ridge: float = 0.01
    """Number added to the diagonal of every covariance."""
    standardise: bool = True
    """Bring every channel to unit variance first."""
    smooth_image_score: bool = True
    """Image score = maximum of the smoothed map (reference), or of the patch scores."""

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._embedder = PatchEmbedder(
            self.backbone,
            context,
            layers=self.layers,
            embedding=self.embedding,
            grid=self.grid,
            standardise=False,
        )
        self._chosen: npt.NDArray[np.int64] | None = None
        self._field = GaussianField(self.ridge, standardise=self.standardise, device=context.device)
        for batch in self._embedder.batches(train, title="fit Gaussians"):
            if self._chosen is None:
                dim = batch.vectors.shape[-1]
                self._chosen = np.sort(context.rng.permutation(dim)[: self.channels])
            self._field.add(self._reduced(batch))
        self._field.finish()

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        parts = [
            self._field.distance(self._reduced(batch)).reshape(batch.vectors.shape[:3])
            for batch in self._embedder.batches(test, title="score test images")
        ]
        grids = np.concatenate(parts) if parts else np.empty((0, 1, 1), np.float32)
        post = MapPost()
        if self.smooth_image_score:
            scores = largest_of_smoothed(grids, context.view.crop, post)
        else:
            scores = grids.max(axis=(1, 2))
        return Prediction(scores=scores, grids=grids, post=post)

    def _reduced(self, batch: Patches) -> Rows:
        images, rows, columns, dim = batch.vectors.shape
        return batch.vectors.reshape(images, rows * columns, dim)[:, :, self._chosen]
