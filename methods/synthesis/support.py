"""RegAD's 22 augmentations of a support image: rotations, translations, a flip, greyscale."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

ANGLES = tuple(steps * math.pi / 16 for steps in (-4, -3, -2, -1, 1, 2, 3, 4))
SHIFTS = tuple(
    (across * size, down * size)
    for size in (0.2, 0.1)
    for across, down in ((1, 1), (-1, 1), (-1, -1), (1, -1))
)
"""Translations (x, y) in coordinates from -1 to 1: 0.2 is a tenth of the image's side."""
COPIES = 1 + len(ANGLES) + len(SHIFTS) + 1 + 1 + 3
_GREY = (0.299, 0.587, 0.114)


def copies(image: torch.Tensor) -> torch.Tensor:
    """Augment an image (3, s, s) to (22, 3, s, s).

    In order: the image, 8 rotations, 8 translations, a horizontal flip, greyscale, 3 quarter turns.
    """
    grey = torch.einsum("c,chw->hw", image.new_tensor(_GREY), image).expand_as(image)
    turned = [_moved(image, math.cos(angle), math.sin(angle), 0.0, 0.0) for angle in ANGLES]
    shifted = [_moved(image, 1.0, 0.0, across, down) for across, down in SHIFTS]
    quarters = [torch.rot90(image, count, (1, 2)) for count in (1, 2, 3)]
    return torch.stack([image, *turned, *shifted, image.flip(2), grey, *quarters])


def _moved(image: torch.Tensor, cosine: float, sine: float, across: float, down: float) -> torch.Tensor:
    """Rotate an image and translate it towards the upper left, with reflected borders."""
    theta = image.new_tensor([[[cosine, -sine, across], [sine, cosine, down]]])
    grid = functional.affine_grid(theta, [1, *image.shape], align_corners=False)
    moved = functional.grid_sample(image[None], grid, padding_mode="reflection", align_corners=False)
    return moved[0]
