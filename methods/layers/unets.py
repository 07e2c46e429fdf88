"""DRAEM's two networks: one that restores an image, one that segments what was restored."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


def _convolutions(*widths: int) -> nn.Sequential:
    """3 x 3 convolutions between these widths, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def _doubled(maps: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=True)


class Restorer(nn.Module):
    """Images (B, 3, H, W) -> images, through an embedding of 1/16 of the side; no skip connections.

    width: channels of the first stage (paper: 128).
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
        maps = self.down[0](images)
        for stage in list(self.down)[1:]:
            maps = stage(functional.max_pool2d(maps, 2))
        for stage in self.up:
            maps = stage(_doubled(maps))
        return self.last(maps)


class Segmenter(nn.Module):
    """Restored and given images side by side (B, 6, H, W) -> logits (B, 2, H, W) of normal and anomalous.

    width: channels of the first of six stages (paper: 64).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        down = [6, width, 2 * width, 4 * width, 8 * width, 8 * width, 8 * width]
        self.down = nn.ModuleList(_convolutions(before, after, after) for before, after in pairwise(down))
        # From the deepest: channels after doubling, and of the map that comes beside them.
        up = [(8, 8), (4, 8), (2, 4), (1, 2), (1, 1)]
        before = 8
        self.narrow, self.join = nn.ModuleList(), nn.ModuleList()
        for after, beside in up:
            self.narrow.append(_convolutions(before * width, after * width))
            self.join.append(_convolutions((after + beside) * width, after * width, after * width))
            before = after
        self.last = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kept = [self.down[0](images)]
        for stage in list(self.down)[1:]:
            kept.append(stage(functional.max_pool2d(kept[-1], 2)))
        maps = kept.pop()
        for narrow, join in zip(self.narrow, self.join, strict=True):
            maps = join(torch.cat([narrow(_doubled(maps)), kept.pop()], dim=1))
        return self.last(maps)


def start_small(module: nn.Module) -> None:
    """Convolutions from N(0, 0.02), batch norms from N(1, 0.02) and 0, as the authors start both."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
