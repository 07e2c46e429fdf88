"""Pixels of image sets in memory, for networks that are trained on pixels."""

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
"""Largest set of pixels kept in memory; larger sets are read from disk at every access."""


def view_of_size(view: View, size: int | None) -> View:
    """Change a view's crop to `size` pixels, showing the same part of the image; None keeps the view.

    Raises BadParameter for fewer than 16 pixels.
    """
    if size is None or size == view.crop:
        return view
    if size < 16:
        raise BadParameter(f"size is {size}: expected at least 16 pixels, or none for the view's own")
    return view.of_size(size)


class PixelBank:
    """Training images in one view, accessed by index as float32 in [0, 1]."""

    def __init__(self, images: ImageSet, view: View, context: Context, *, title: str) -> None:
        """Read all images into memory if they fit. Raises MethodsError for an empty set."""
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
        """Images at int64 `indices` (B,) as float32 (B, 3, size, size) in [0, 1] on the context's device."""
        if self._kept is None:
            pixels = torch.stack([self._read(index) for index in indices.tolist()])
        else:
            pixels = self._kept[indices]
        return pixels.to(self._device).float() / 255

    def batches(self, batch_size: int = 16) -> Iterator[torch.Tensor]:
        """All images in order, `batch_size` at a time."""
        return (self.gather(part) for part in torch.arange(len(self)).split(batch_size))

    def _read(self, index: int) -> torch.Tensor:
        """Read an image in the view, uint8 (3, crop, crop)."""
        return as_tensor(view_pixels(self._images[index], self._view))


def pixel_batches(
    images: ImageSet, view: View, context: Context, *, title: str, batch_size: int = 16
) -> Iterator[torch.Tensor]:
    """Yield images in order as float32 (B, 3, size, size) in [0, 1] on the context's device."""
    pending: list[torch.Tensor] = []
    for index in context.progress(range(len(images)), title, len(images)):
        pending.append(as_tensor(view_pixels(images[index], view)))
        if len(pending) == batch_size or index == len(images) - 1:
            yield torch.stack(pending).to(context.device).float() / 255
            pending = []


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """Convert pixels uint8 (H, W, 3) to a tensor uint8 (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def at_most(maps: torch.Tensor, side: int) -> torch.Tensor:
    """Average-pool square maps (B, h, w) to `side` if they are larger."""
    return functional.adaptive_avg_pool2d(maps[:, None], side)[:, 0] if maps.shape[-1] > side else maps
