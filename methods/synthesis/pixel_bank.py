"""The judged part of whole image sets as pixels in memory, for networks that are trained on pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from ltbench.methods.base import Context, View
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.transform import view_pixels
from ltbench.splits.images import ImageSet

KEPT_BYTES = 8 << 30
"""Largest set of pixels that stays in memory; a larger one is read again when it is asked for."""


def view_of_size(view: View, size: int | None) -> View:
    """The same part of the image with its crop at `size` pixels; None = as it is. Raises BadParameter."""
    if size is None or size == view.crop:
        return view
    if size < 16:
        raise BadParameter(f"size is {size}: expected at least 16 pixels, or none for the view's own")
    return view.of_size(size)


class PixelBank:
    """Training images in one view, gathered by number as float32 in [0, 1]."""

    def __init__(self, images: ImageSet, view: View, context: Context, *, title: str) -> None:
        """Read all images once, if they fit. Raises MethodsError for an empty set."""
        if not len(images):
            raise MethodsError("the training set is empty: expected at least one image")
        self._images, self._view, self._device = images, view, context.device
        self._kept: torch.Tensor | None = None
        if len(images) * 3 * view.crop**2 > KEPT_BYTES:
            return
        self._kept = torch.empty(len(images), 3, view.crop, view.crop, dtype=torch.uint8)
        for index in context.progress(range(len(images)), title, len(images)):
            self._kept[index] = self._read(index)

    def __len__(self) -> int:
        return len(self._images)

    def gather(self, indices: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3, size, size) in [0, 1] of the images at int64 (B,), on the context's device."""
        if self._kept is None:
            found = torch.stack([self._read(index) for index in indices.tolist()])
        else:
            found = self._kept[indices]
        return found.to(self._device).float() / 255

    def batches(self, batch_size: int = 16) -> Iterator[torch.Tensor]:
        """All of them in order, a few at a time."""
        return (self.gather(part) for part in torch.arange(len(self)).split(batch_size))

    def _read(self, index: int) -> torch.Tensor:
        return as_tensor(view_pixels(self._images[index], self._view))


def pixel_batches(
    images: ImageSet, view: View, context: Context, *, title: str, batch_size: int = 16
) -> Iterator[torch.Tensor]:
    """float32 (B, 3, size, size) in [0, 1] of images that are scored, in their order."""
    pending: list[torch.Tensor] = []
    for index in context.progress(range(len(images)), title, len(images)):
        pending.append(as_tensor(view_pixels(images[index], view)))
        if len(pending) == batch_size or index == len(images) - 1:
            yield torch.stack(pending).to(context.device).float() / 255
            pending = []


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """uint8 (H, W, 3) -> uint8 (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def at_most(maps: torch.Tensor, side: int) -> torch.Tensor:
    """Maps (B, h, w) that are larger than the judged view brought to its size by means."""
    return functional.adaptive_avg_pool2d(maps[:, None], side)[:, 0] if maps.shape[-1] > side else maps
