"""RegAD's 22 copies of a support image: turned, shifted, mirrored, without colour."""

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
"""Across and down on an image that reaches from -1 to 1: 0.2 is a tenth of its side."""
COPIES = 1 + len(ANGLES) + len(SHIFTS) + 1 + 1 + 3
_GREY = (0.299, 0.587, 0.114)


def copies(image: torch.Tensor) -> torch.Tensor:
    """(22, 3, s, s) of (3, s, s): itself, 8 turns, 8 shifts, mirrored, grey, and 3 quarter turns."""
    grey = torch.einsum("c,chw->hw", image.new_tensor(_GREY), image).expand_as(image)
    turned = [_moved(image, math.cos(angle), math.sin(angle), 0.0, 0.0) for angle in ANGLES]
    shifted = [_moved(image, 1.0, 0.0, across, down) for across, down in SHIFTS]
    quarters = [torch.rot90(image, count, (1, 2)) for count in (1, 2, 3)]
    return torch.stack([image, *turned, *shifted, image.flip(2), grey, *quarters])


def _moved(image: torch.Tensor, cosine: float, sine: float, across: float, down: float) -> torch.Tensor:
    """Turned and shifted towards the upper left; what comes in from outside is reflected."""
    theta = image.new_tensor([[[cosine, -sine, across], [sine, cosine, down]]])
    grid = functional.affine_grid(theta, [1, *image.shape], align_corners=False)
    moved = functional.grid_sample(image[None], grid, padding_mode="reflection", align_corners=False)
    return moved[0]
