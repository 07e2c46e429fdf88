"""Pixels as an encoder's image tower wants them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


def normalised(
    pixels: torch.Tensor, side: int | None, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """uint8 (B, 3, H, W) -> float32 (B, 3, side, side), (value / 255 - mean) / std.

    Both sides are resized (bicubic, antialiased, clamped as 8-bit images are); None or the size at hand
    leaves the pixels as they are.
    """
    images = pixels.to(torch.float32) / 255
    if side is not None and tuple(images.shape[-2:]) != (side, side):
        images = functional.interpolate(images, size=(side, side), mode="bicubic", antialias=True)
        images = images.clamp_(0, 1)
    return (images - images.new_tensor(mean).view(1, 3, 1, 1)) / images.new_tensor(std).view(1, 3, 1, 1)
