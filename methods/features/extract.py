"""Features of many images: read from the cache where they are, computed in batches where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Context
from methods.features import backbone as backbone_names
from methods.features import transform
from methods.features.transform import Augmentation, Pose
from splits.images import ImageSet, Pixels

_HALF_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class FeatureBatch:
    """Features of a few images (or of augmented copies of images)."""

    indices: tuple[int, ...]
    """Which image each row shows; repeated for the copies of one image."""
    maps: tuple[torch.Tensor, ...]
    """float32 (B, C, h, w) per layer, in the extractor's order of layers, on its device."""
    pooled: torch.Tensor
    """float32 (B, D): the backbone's embedding of the whole view."""


class Extractor:
    """Embeds images with one backbone, through the context's cache, on the context's device.

    Every feature is rounded to float16 once, whether it is read or computed, so that a warm and a cold run
    agree bit for bit.
    """

    def __init__(
        self, backbone: str, context: Context, layers: tuple[str, ...] | None = None, batch_size: int = 16
    ) -> None:
        self.backbone = backbone_names.load(backbone, context.device, context.weights_root, layers)
        self.layers = layers or self.backbone.layers
        """Names of the maps of a batch, in order."""
        self._context = context
        self._batch_size = batch_size

    def batches(
        self,
        images: ImageSet,
        *,
        augment: Augmentation | None = None,
        indices: Sequence[int] | None = None,
        title: str,
    ) -> Iterator[FeatureBatch]:
        """Features of the images at `indices` (None = all), in that order, `batch_size` rows at a time.

        With `augment`, the copies of an image follow each other in the order of `augment.poses`, and the
        image itself is not among them. `title` names the step to whoever watches the progress, which counts rows.
        """
        rows = _rows(range(len(images)) if indices is None else indices, augment)
        reader = _Reader(images, self._context.view, augment)
        pending: list[_Row] = []
        for row in self._context.progress(rows, title, len(rows)):
            pending.append(row)
            if len(pending) == self._batch_size:
                yield self._batch(pending, reader)
                pending = []
        if pending:
            yield self._batch(pending, reader)

    def _batch(self, rows: list[_Row], reader: _Reader) -> FeatureBatch:
        pixels = np.stack([reader.read(row) for row in rows])
        computed = self.backbone(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        maps = tuple(_rounded(computed[layer]) for layer in self.layers)
        return FeatureBatch(tuple(row.index for row in rows), maps, _rounded(computed["pooled"]))


@dataclass(frozen=True)
class _Row:
    index: int
    pose: Pose | None


def _rows(indices: Sequence[int], augment: Augmentation | None) -> list[_Row]:
    poses: Sequence[Pose | None] = (None,) if augment is None else augment.poses
    return [_Row(int(index), pose) for index in indices for pose in poses]


class _Reader:
    """Pixels of rows; the copies of one image share one decoding."""

    def __init__(self, images: ImageSet, view: transform.View, augment: Augmentation | None) -> None:
        self._images = images
        self._view = view
        self._augment = augment
        self._last: tuple[int, Pixels] | None = None

    def read(self, row: _Row) -> Pixels:
        if row.pose is None or self._augment is None:
            return transform.view_pixels(self._images[row.index], self._view)
        if self._last is None or self._last[0] != row.index:
            self._last = (
                row.index,
                transform.resize_shorter_side(self._images[row.index], self._view.resize),
            )
        return transform.pose_of(self._last[1], self._view.crop, self._augment, row.pose)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    return values.float().clamp(-_HALF_MAX, _HALF_MAX).half().float()
