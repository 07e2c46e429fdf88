"""DRAEM's reconstructive network, which restores an image, and its segmentation network."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


def _convolutions(*widths: int) -> nn.Sequential:
    """Chain of 3 x 3 convolutions of the given widths, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def _doubled(maps: torch.Tensor) -> torch.Tensor:
    """Upsample maps (B, C, h, w) bilinearly to twice the size."""
    return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=True)


class Restorer(nn.Module):
    """Autoencoder of images (B, 3, H, W) with a bottleneck of 1/16 of the side, without skip connections.

    Args:
        width: Channels of the first stage (paper: 128).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        down = [3, width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.down = nn.ModuleList(_convolutions(before, after, after) for before, after in pairwise(down))
        up = [8 * width, 4 * width, 2 * width, width, width]
        self.up = nn.ModuleList(
            _convolutions(before, before, before, after) for before, after in pairwise(up)
        )
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Restore images (B, 3, H, W) of values in [0, 1]."""
        maps = self.down[0](images)
        for stage in list(self.down)[1:]:
            maps = stage(functional.max_pool2d(maps, 2))
        for stage in self.up:
            maps = stage(_doubled(maps))
        return self.last(maps)


class Segmenter(nn.Module):
    """U-Net from restored and original images (B, 6, H, W) to logits (B, 2, H, W) of normal and anomalous.

    Args:
        width: Channels of the first of six stages (paper: 64).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        down = [6, width, 2 * width, 4 * width, 8 * width, 8 * width, 8 * width]
        self.down = nn.ModuleList(_convolutions(before, after, after) for before, after in pairwise(down))
        # From the deepest: channels after upsampling, and channels of the skip connection.
        up = [(8, 8), (4, 8), (2, 4), (1, 2), (1, 1)]
        before = 8
        self.narrow, self.join = nn.ModuleList(), nn.ModuleList()
        for after, skipped in up:
            self.narrow.append(_convolutions(before * width, after * width))
            self.join.append(_convolutions((after + skipped) * width, after * width, after * width))
            before = after
        self.last = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Segment stacked restored and original images (B, 6, H, W): logits (B, 2, H, W)."""
        skips = [self.down[0](images)]
        for stage in list(self.down)[1:]:
            skips.append(stage(functional.max_pool2d(skips[-1], 2)))
        maps = skips.pop()
        for narrow, join in zip(self.narrow, self.join, strict=True):
            maps = join(torch.cat([narrow(_doubled(maps)), skips.pop()], dim=1))
        return self.last(maps)


def start_small(module: nn.Module) -> None:
    """Initialise as DRAEM does: convolutions N(0, 0.02), batch-norm weights N(1, 0.02) and biases 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
