"""Random views of the pictures: where a crop lies, and how a camera would see it."""

from __future__ import annotations

import math

import torch
from torch.nn import functional


def crops(pictures: torch.Tensor, which: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """float32 (B, 3, size, size) in [0, 1]: a window of each picture `which` (B,) of uint8 (N, 3, P, P).

    Windows are 0.7 to 1.7 times `size` wide, turned by up to 20 degrees, at times mirrored.
    """
    count, side = len(which), pictures.shape[-1]
    zoom = torch.exp(_between(generator, (count,), math.log(0.7), math.log(1.7))) * size / side
    angle = _between(generator, (count,), -0.35, 0.35)
    mirror = torch.randint(2, (count,), generator=generator) * 2.0 - 1
    reach = (1 - zoom * (angle.cos() + angle.sin().abs())).clamp_min(0)
    shift = _between(generator, (2, count), -1, 1) * reach
    matrix = torch.stack(
        [
            torch.stack([zoom * mirror * angle.cos(), -zoom * angle.sin(), shift[0]], -1),
            torch.stack([zoom * mirror * angle.sin(), zoom * angle.cos(), shift[1]], -1),
        ],
        1,
    )
    grid = functional.affine_grid(matrix, [count, 3, size, size], align_corners=False)
    source = pictures[which].to(torch.float32) / 255
    return functional.grid_sample(source, grid, padding_mode="reflection", align_corners=False)


def photographed(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same crops under another camera: contrast, tone per channel, lost colour, blur and noise."""
    count = len(images)
    mean = images.mean(dim=(2, 3), keepdim=True)
    contrast = torch.exp(_between(generator, (count, 1, 1, 1), math.log(0.35), math.log(1.5)))
    images = mean + contrast * (images - mean)
    images = images * (1 + 0.1 * torch.randn(count, 3, 1, 1, generator=generator))
    grey = images.mean(dim=1, keepdim=True)
    images = torch.where(torch.rand(count, 1, 1, 1, generator=generator) < 0.35, grey, images)
    blurred = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    images = images + _between(generator, (count, 1, 1, 1), 0, 1) * (blurred - images)
    sigma = _between(generator, (count, 1, 1, 1), 0, 1).square() * 0.08
    return (images + sigma * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def _between(generator: torch.Generator, shape: tuple[int, ...], low: float, high: float) -> torch.Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)
