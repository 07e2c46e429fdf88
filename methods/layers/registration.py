"""RegAD's network: a feature pyramid with spatial transformers, and a Siamese head."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.layers.trunk import Trunk
from ltbench.methods.training.precision import in_full_precision

STAGES = 3


class SpatialTransformer(nn.Module):
    """Rotates and scales maps (B, C, h, w) by a predicted angle and two factors, initially the identity.

    theta = [[s1 cos a, -sin a, 0], [sin a, s2 cos a, 0]] (Jaderberg et al. 2015, "rotation_scale").
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        left = math.ceil(math.ceil(side / 2) / 2)
        self.see = nn.Sequential(*_halving(channels, 64), *_halving(64, 16), nn.Flatten())
        self.tell = nn.Sequential(nn.Linear(16 * left**2, 1024), nn.ReLU(), nn.Linear(1024, 3))
        nn.init.zeros_(self.tell[-1].weight)
        with torch.no_grad():
            self.tell[-1].bias.copy_(torch.tensor([0.0, 1.0, 1.0]))

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Warp maps (B, C, h, w); returns them with the affine transforms theta (B, 2, 3)."""
        angle, across, down = in_full_precision(self.tell)(self.see(maps)).unbind(dim=1)
        sine, cosine, zero = angle.sin(), angle.cos(), torch.zeros_like(angle)
        rows = [torch.stack([cosine * across, -sine, zero], 1), torch.stack([sine, cosine * down, zero], 1)]
        theta = torch.stack(rows, dim=1)
        return warped(maps, theta), theta


class RegisteredPyramid(nn.Module):
    """First three stages of a trunk, each followed by a spatial transformer that aligns its maps."""

    def __init__(self, trunk: Trunk, side: int) -> None:
        """Build the transformers for images of `side` pixels."""
        super().__init__()
        self.trunk = trunk
        with torch.no_grad():
            sides = [maps.shape[-1] for maps in trunk(torch.zeros(1, 3, side, side))[:STAGES]]
        self.place = nn.ModuleList(
            SpatialTransformer(channels, size)
            for channels, size in zip(trunk.widths[:STAGES], sides, strict=True)
        )

    def forward(self, images: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Aligned maps, finest first, and the affine transform of each."""
        maps, aligned, thetas = self.trunk.start(images), [], []
        for stage, place in zip(list(self.trunk.stages)[:STAGES], self.place, strict=True):
            maps, theta = place(stage(maps))
            aligned.append(maps)
            thetas.append(theta)
        return aligned, thetas

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Warp all maps back to image coordinates and concatenate them on the finest grid: (B, C, h, w)."""
        aligned, thetas = self(images)
        back = []
        for depth, maps in enumerate(aligned):
            for theta in reversed(thetas[: depth + 1]):
                maps = warped(maps, inverse(theta))  # noqa: PLW2901  one warp after the other
            back.append(functional.interpolate(maps, size=aligned[0].shape[-2:], mode="nearest"))
        return torch.cat(back, dim=1)


class Siamese(nn.Module):
    """SimSiam encoder and predictor of 1 x 1 convolutions on the coarsest maps (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            *_pointwise(channels), *_pointwise(channels), nn.Conv2d(channels, channels, 1, bias=False)
        )
        self.predict = nn.Sequential(*_pointwise(channels), nn.Conv2d(channels, channels, 1, bias=False))

    def forward(self, maps: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Symmetric SimSiam loss -(cos(p1, z2) + cos(p2, z1)) / 2, mean over positions and images.

        The encodings z are detached.
        """
        first, second = self.encode(maps), self.encode(others)
        ahead = functional.cosine_similarity(self.predict(first), second.detach(), dim=1).mean()
        back = functional.cosine_similarity(self.predict(second), first.detach(), dim=1).mean()
        return -(ahead + back) / 2


@in_full_precision
def warped(maps: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Sample maps (B, C, h, w) at the points that theta (B, 2, 3) maps the grid to; borders reflect."""
    grid = functional.affine_grid(theta, list(maps.shape), align_corners=False)
    return functional.grid_sample(maps, grid, padding_mode="reflection", align_corners=False)


def inverse(theta: torch.Tensor) -> torch.Tensor:
    """Inverse (B, 2, 3) of affine transforms theta (B, 2, 3)."""
    linear = torch.linalg.inv(theta[:, :, :2])
    return torch.cat([linear, -linear @ theta[:, :, 2:]], dim=2)


def _halving(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """Convolution block that halves the resolution."""
    return (
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
    )


def _pointwise(channels: int) -> tuple[nn.Module, ...]:
    """Layers of a 1 x 1 convolution, batch norm and ReLU."""
    return nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
