"""Residual stages of reverse distillation: a one-class bottleneck and a decoder that mirrors a ResNet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Padded convolution without bias, with a `size` x `size` kernel."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class Bottleneck(nn.Module):
    """Residual block of 1 x 1, 3 x 3 (`width` channels) and 1 x 1 convolutions.

    A `scale` of 2 halves the resolution; -2 doubles it by transposed 2 x 2 convolutions of stride 2 in place
    of the 3 x 3 and of the shortcut.
    """

    rectified = True
    """Whether a ReLU ends the block."""

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
        """Transform maps (B, inputs, h, w) to `outputs` channels."""
        kept = maps if self.shortcut is None else self.shortcut(maps)
        maps = functional.relu(self.middle(functional.relu(self.reduce(maps))))
        maps = self.expand(maps) + kept
        return functional.relu(maps) if self.rectified else maps


def stage(inputs: int, outputs: int, width: int, blocks: int, scale: int) -> nn.Sequential:
    """Stage of `blocks` bottlenecks, the first of which changes channels and resolution."""
    first = Bottleneck(inputs, outputs, width, scale)
    return nn.Sequential(first, *(Bottleneck(outputs, outputs, width) for _ in range(blocks - 1)))


class OneClassBottleneck(nn.Module):
    """Fuses three maps, each half the size of the last, and halves the result (RD, Deng & Li, CVPR 2022).

    Args:
        channels: Channels of the three maps, finest first.
        blocks: Number of residual blocks.
        width_ratio: Channels inside a residual block per channel of its output (0.5 in Wide-ResNet-50).
    """

    def __init__(self, channels: Sequence[int], blocks: int, width_ratio: float = 0.5) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.from_fine = nn.Sequential(*_halving(fine, middle), *_halving(middle, coarse))
        self.from_middle = nn.Sequential(*_halving(middle, coarse))
        outputs = 2 * coarse
        self.embed = stage(3 * coarse, outputs, int(outputs * width_ratio), blocks, 2)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Fuse the maps into an embedding (B, 2 C3, h3 / 2, w3 / 2)."""
        fine, middle, coarse = maps
        return self.embed(torch.cat([self.from_fine(fine), self.from_middle(middle), coarse], dim=1))


class MirroredDecoder(nn.Module):
    """Decoder from the embedding to the three maps, coarse to fine; each stage doubles the resolution.

    Args:
        channels: Channels of the three maps, finest first.
        blocks: Residual blocks of each stage, coarse to fine.
        width_ratio: Channels inside a residual block per channel of its output.
        signed: Leave out the ReLU at the end of every stage, for maps with negative values.
    """

    def __init__(
        self,
        channels: Sequence[int],
        blocks: Sequence[int],
        width_ratio: float = 0.5,
        *,
        signed: bool = False,
    ) -> None:
        super().__init__()
        sizes = [2 * channels[-1], *reversed(channels)]
        self.stages = nn.ModuleList(
            stage(inputs, outputs, int(outputs * width_ratio), count, -2)
            for (inputs, outputs), count in zip(pairwise(sizes), blocks, strict=True)
        )
        if signed:
            for made in self.stages:
                made[-1].rectified = False

    def forward(self, embedding: torch.Tensor) -> list[torch.Tensor]:
        """Decode an embedding to maps in the order of `channels`, finest first."""
        maps = []
        for step in self.stages:
            embedding = step(embedding)
            maps.append(embedding)
        return maps[::-1]


def kaiming_init(module: nn.Module) -> None:
    """Initialise convolutions by Kaiming's normal rule (fan-out); transposed ones keep torch's default."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _halving(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """Layers that halve maps: 3 x 3 convolution of stride 2, batch norm and ReLU."""
    return convolution(inputs, outputs, 3, 2), nn.BatchNorm2d(outputs), nn.ReLU()
