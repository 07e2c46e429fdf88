"""Patch vectors of whole image sets: extraction, embedding and channel scales in one place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import Context
from ltbench.methods.blocks.embedding import Kind, embed
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.extract import Extractor, FeatureBatch
from ltbench.methods.features.transform import Augmentation
from ltbench.splits.images import ImageSet

Rows = npt.NDArray[np.float32]
EmbeddingName = Literal["auto", "patchcore", "padim"]

ROUNDED = (
    "Features of the backbone are rounded to float16: vectors move by up to 0.02 % of their largest number, "
    "and where a coreset is chosen, up to 5 % of its rows become others and image scores move by up to 3 %."
)
"""Deviation of methods that choose among the vectors of a frozen backbone, for their cards."""
EMBEDDED = (
    "embedding: 'auto' takes the channels of narrow layers side by side as PaDiM does; PatchCore averages "
    "3 x 3 cells of any network and pools to 1024 numbers.",
    "standardise: such channels are brought to unit variance and layers to one weight, since they "
    "differ in scale by orders of magnitude; vectors of PatchCore's pooling stay as they are.",
    "projection: vectors that have no more numbers than it stay as they are; the authors project any that "
    "have not exactly 128.",
    "Distances are squared, as in the authors' code; the papers take the root.",
    ROUNDED,
)
"""Deviations of methods that take PatchCore's vectors, for their cards."""
WIDE_CHANNELS = 128
"""From this many channels per layer on, PatchCore's pooling to 1024 numbers shortens a 3 x 3 block.

The maps of a narrower network are best left as they are: docs/backbones.md."""


@dataclass(frozen=True)
class Patches:
    """Patch vectors of a few images, or of all."""

    indices: tuple[int, ...]
    """Index of the image in each row; repeated for the copies of one image."""
    vectors: Rows
    """(B, h, w, D)."""
    pooled: Rows
    """(B, P): global embedding of each row."""


class PatchEmbedder:
    """Turns images into patch vectors, in the same way for fit and score.

    embedding: "patchcore" (Roth et al. 2022), "padim" (Defard et al. 2021: channels side by side) or "auto":
    "patchcore" for a timm network with at least 128 channels in every layer, else "padim". grid: side of a
    coarser patch grid, None = the backbone's own. standardise: after `fit`, divide every channel (of
    "patchcore" vectors: none) by its standard deviation and every layer by the root of its width: layers and
    descriptors differ in scale by orders of magnitude, and so each has the same say in a distance.
    """

    def __init__(
        self,
        backbone: str,
        context: Context,
        *,
        layers: tuple[str, ...] = (),
        embedding: EmbeddingName = "auto",
        grid: int | None = None,
        standardise: bool = True,
    ) -> None:
        if embedding not in get_args(EmbeddingName):
            raise BadParameter(
                f"unknown embedding '{embedding}': expected one of {', '.join(get_args(EmbeddingName))}"
            )
        self._extractor = Extractor(backbone, context, layers or None)
        self._is_network = backbone.startswith("timm:")
        self._embedding = embedding
        self._grid = grid
        self._standardise = standardise
        self._scale: Rows | None = None

    def fit(self, images: ImageSet, *, title: str) -> Patches:
        """Patch vectors of all training images, (N, h, w, D) in memory; learns the channel scales from them.

        Raises MethodsError for an empty set and for an image whose features are not finite.
        """
        patches = self.collect(images, title=title)
        if self._standardise and self._kind(self._widths) != "patchcore":
            self._scale = _scales(patches.vectors, self._widths)
            patches.vectors[...] *= self._scale
        return patches

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
            self._widths = tuple(layer.shape[1] for layer in batch.maps)
            vectors = embed(batch.maps, kind=self._kind(self._widths), grid=self._grid).cpu().numpy()
            _require_finite(vectors, batch, images)
            if self._scale is not None:
                vectors *= self._scale
            yield Patches(batch.indices, vectors, batch.pooled.cpu().numpy())

    def collect(
        self,
        images: ImageSet,
        *,
        title: str,
        augment: Augmentation | None = None,
        indices: Sequence[int] | None = None,
    ) -> Patches:
        """All of them at once: (N, h, w, D) float32 in memory. Raises MethodsError for an empty set."""
        count = len(images) if indices is None else len(indices)
        count *= 1 if augment is None else len(augment)
        shown: list[int] = []
        pooled: list[Rows] = []
        vectors: Rows | None = None
        for part in self.batches(images, title=title, augment=augment, indices=indices):
            if vectors is None:
                # Filled in place: parts beside their concatenation would need twice the memory.
                vectors = np.empty((count, *part.vectors.shape[1:]), np.float32)
            vectors[len(shown) : len(shown) + len(part.indices)] = part.vectors
            shown += part.indices
            pooled.append(part.pooled)
        if vectors is None:
            raise MethodsError("the training set is empty: expected at least one image")
        return Patches(tuple(shown), vectors, np.concatenate(pooled))

    def _kind(self, widths: Sequence[int]) -> Kind:
        if self._embedding != "auto":
            return self._embedding
        return "patchcore" if self._is_network and min(widths) >= WIDE_CHANNELS else "padim"


def _scales(vectors: Rows, widths: Sequence[int]) -> Rows:
    """(D,) factors to unit variance of every channel and unit weight of every layer."""
    flat = vectors.reshape(-1, vectors.shape[-1])
    origin = flat[0].astype(np.float64)
    total, squares = np.zeros(len(origin)), np.zeros(len(origin))
    for low in range(0, len(flat), 65_536):
        part = flat[low : low + 65_536] - origin
        total += part.sum(axis=0)
        squares += np.einsum("ij,ij->j", part, part)
    # A channel that never moves keeps its own unit.
    variance = np.maximum(squares / len(flat) - (total / len(flat)) ** 2, 0)
    width = np.repeat(np.asarray(widths, np.float64), widths)
    return (1 / np.sqrt(np.where(variance > 0, variance, 1.0) * width)).astype(np.float32)


def _require_finite(vectors: Rows, batch: FeatureBatch, images: ImageSet) -> None:
    finite = np.isfinite(vectors).all(axis=(1, 2, 3))
    if not finite.all():
        index = batch.indices[int(finite.argmin())]
        raise MethodsError(
            f"the features of image {index} ('{images.keys[index]}') are not finite: its pixels or the "
            "backbone's weights are damaged; 'ltbench data doctor' looks for unreadable images"
        )
