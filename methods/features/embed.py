"""Patch vectors of whole image sets: extraction, embedding and channel scales in one place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from methods.base import Context
from methods.blocks.embedding import Kind, embed
from methods.errors import MethodsError
from methods.features.extract import Extractor, FeatureBatch
from methods.features.transform import Augmentation
from splits.images import ImageSet

Rows = npt.NDArray[np.float32]
EmbeddingName = Literal["auto", "patchcore", "concat"]

WIDE_CHANNELS = 128
"""From this many channels per layer on, PatchCore's pooling to 1024 numbers shortens a 3 x 3 block."""


@dataclass(frozen=True)
class Patches:
    """Patch vectors of a few images."""

    indices: tuple[int, ...]
    """Which image each row shows; repeated for the copies of one image."""
    vectors: Rows
    """(B, h, w, D)."""
    pooled: Rows
    """(B, P): global embedding of each row."""


class PatchEmbedder:
    """Turns images into patch vectors, the same way in fit and in score.

    embedding: "patchcore" (Roth et al. 2022), "concat" (the layers' channels side by side) or "auto":
    "patchcore" where every layer has at least 128 channels, which a small backbone has not. With "concat" of
    several layers every channel is divided by its standard deviation over the images of `learn_scales`: the
    layers of a network differ in scale by orders of magnitude.
    """

    def __init__(
        self,
        backbone: str,
        context: Context,
        *,
        layers: tuple[str, ...] = (),
        embedding: EmbeddingName = "auto",
        grid: int | None = None,
    ) -> None:
        self._extractor = Extractor(backbone, context, layers or None)
        self._embedding = embedding
        self._grid = grid
        self._scales: list[torch.Tensor] | None = None

    def batches(
        self,
        images: ImageSet,
        *,
        title: str,
        augment: Augmentation | None = None,
        indices: Sequence[int] | None = None,
    ) -> Iterator[Patches]:
        """Patch vectors in the order of the indices. Raises MethodsError naming an image that has NaN."""
        for batch in self._extractor.batches(images, augment=augment, indices=indices, title=title):
            maps = self._scaled(batch)
            vectors = embed(maps, kind=self._kind(maps), grid=self._grid).float().cpu().numpy()
            _require_finite(vectors, batch, images)
            yield Patches(batch.indices, vectors, batch.pooled.float().cpu().numpy())

    def collect(
        self,
        images: ImageSet,
        *,
        title: str,
        augment: Augmentation | None = None,
        indices: Sequence[int] | None = None,
    ) -> Patches:
        """All of them at once: (N, h, w, D) float32 in memory. Raises MethodsError for an empty set."""
        parts = list(self.batches(images, title=title, augment=augment, indices=indices))
        if not parts:
            raise MethodsError("the training set is empty: expected at least one image")
        return Patches(
            tuple(index for part in parts for index in part.indices),
            np.concatenate([part.vectors for part in parts]),
            np.concatenate([part.pooled for part in parts]),
        )

    def learn_scales(self, images: ImageSet) -> None:
        """Standard deviation of every channel over the images, where the embedding needs one."""
        total = total_square = None
        positions: list[int] = []
        for batch in self._extractor.batches(images, title="channel scales"):
            if len(batch.maps) < 2 or self._kind(batch.maps) != "concat":
                return
            sums = [layer.double().sum(dim=(0, 2, 3)) for layer in batch.maps]
            squares = [layer.double().square().sum(dim=(0, 2, 3)) for layer in batch.maps]
            if total is None or total_square is None:
                total, total_square = sums, squares
                positions = [0 for _ in sums]
            else:
                total = [a + b for a, b in zip(total, sums, strict=True)]
                total_square = [a + b for a, b in zip(total_square, squares, strict=True)]
            counts = [layer[:, 0].numel() for layer in batch.maps]
            positions = [a + b for a, b in zip(positions, counts, strict=True)]
        if total is None or total_square is None:
            return
        self._scales = [
            # A channel that never moves is left alone.
            (square / count - (value / count).square()).clamp_min(1e-12).sqrt().float()
            for value, square, count in zip(total, total_square, positions, strict=True)
        ]

    def _scaled(self, batch: FeatureBatch) -> Sequence[torch.Tensor]:
        if self._scales is None:
            return batch.maps
        return [layer / scale[:, None, None] for layer, scale in zip(batch.maps, self._scales, strict=True)]

    def _kind(self, maps: Sequence[torch.Tensor]) -> Kind:
        if self._embedding != "auto":
            return self._embedding
        return "patchcore" if all(layer.shape[1] >= WIDE_CHANNELS for layer in maps) else "concat"


def _require_finite(vectors: Rows, batch: FeatureBatch, images: ImageSet) -> None:
    finite = np.isfinite(vectors).all(axis=(1, 2, 3))
    if not finite.all():
        index = batch.indices[int(np.flatnonzero(~finite)[0])]
        raise MethodsError(
            f"the features of image '{images.keys[index]}' are not finite: its pixels or the backbone's "
            "weights are damaged; 'ltbench data doctor' looks for unreadable images"
        )
