"""Preprocessing of pixels for an encoder's image tower."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


def normalised(
    pixels: torch.Tensor, side: int | None, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """Resize and normalise pixels uint8 (B, 3, H, W) to float32 (B, 3, side, side).

    Args:
        pixels: Images.
        side: Side to resize to (bicubic with antialiasing, clamped to [0, 1]); None = no resizing.
        mean: Mean of each channel, for values in [0, 1].
        std: Standard deviation of each channel.
    """
    images = pixels.to(torch.float32) / 255
    if side is not None and tuple(images.shape[-2:]) != (side, side):
        images = functional.interpolate(images, size=(side, side), mode="bicubic", antialias=True)
        images = images.clamp_(0, 1)
    return (images - images.new_tensor(mean).view(1, 3, 1, 1)) / images.new_tensor(std).view(1, 3, 1, 1)
