"""Residual stages of reverse distillation: a one-class bottleneck, and a decoder that mirrors a ResNet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 of `width` channels, 1 x 1, with a shortcut; `scale` 2 halves, -2 doubles the resolution.

    To double it, the 3 x 3 becomes a transposed 2 x 2 of stride 2, and so does the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, width: int, scale: int = 1) -> None:
        super().__init__()
        middle: nn.Module
        if scale == -2:
            middle = nn.ConvTranspose2d(width, width, 2, 2, bias=False)
            shortcut: nn.Module | None = nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False)
        else:
            middle = convolution(width, width, 3, scale)
            shortcut = convolution(inputs, outputs, 1, scale) if scale != 1 or inputs != outputs else None
        self.reduce = nn.Sequential(convolution(inputs, width, 1), nn.BatchNorm2d(width))
        self.middle = nn.Sequential(middle, nn.BatchNorm2d(width))
        self.expand = nn.Sequential(convolution(width, outputs, 1), nn.BatchNorm2d(outputs))
        self.shortcut = None if shortcut is None else nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        kept = maps if self.shortcut is None else self.shortcut(maps)
        maps = functional.relu(self.middle(functional.relu(self.reduce(maps))))
        return functional.relu(self.expand(maps) + kept)


def stage(inputs: int, outputs: int, width: int, blocks: int, scale: int) -> nn.Sequential:
    """`blocks` bottlenecks, the first of which changes channels and resolution."""
    first = Bottleneck(inputs, outputs, width, scale)
    return nn.Sequential(first, *(Bottleneck(outputs, outputs, width) for _ in range(blocks - 1)))


class OneClassBottleneck(nn.Module):
    """Fuses three maps, each half the size of the one before, and halves once more (Deng & Li, CVPR 2022).

    channels: of the maps, finest first; `width_ratio`: channels inside a residual block per channel of its
    output (0.5 in a Wide-ResNet-50).
    """

    def __init__(self, channels: Sequence[int], blocks: int, width_ratio: float = 0.5) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.from_fine = nn.Sequential(*_halving(fine, middle), *_halving(middle, coarse))
        self.from_middle = nn.Sequential(*_halving(middle, coarse))
        outputs = 2 * coarse
        self.embed = stage(3 * coarse, outputs, int(outputs * width_ratio), blocks, 2)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, 2 C3, h3 / 2, w3 / 2)."""
        fine, middle, coarse = maps
        return self.embed(torch.cat([self.from_fine(fine), self.from_middle(middle), coarse], dim=1))


class MirroredDecoder(nn.Module):
    """From the embedding back to the three maps, coarse to fine, each stage twice as large as the last."""

    def __init__(self, channels: Sequence[int], blocks: Sequence[int], width_ratio: float = 0.5) -> None:
        super().__init__()
        sizes = [2 * channels[-1], *reversed(channels)]
        self.stages = nn.ModuleList(
            stage(inputs, outputs, int(outputs * width_ratio), count, -2)
            for (inputs, outputs), count in zip(pairwise(sizes), blocks, strict=True)
        )

    def forward(self, embedding: torch.Tensor) -> list[torch.Tensor]:
        """Maps in the order of the channels: finest first."""
        maps = []
        for step in self.stages:
            embedding = step(embedding)
            maps.append(embedding)
        return maps[::-1]


def kaiming_init(module: nn.Module) -> None:
    """Convolutions normal by fan-out, batch norms 1 and 0; transposed ones keep torch's own start."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _halving(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return convolution(inputs, outputs, 3, 2), nn.BatchNorm2d(outputs), nn.ReLU()
