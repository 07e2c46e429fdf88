"""Target layouts: how the feature maps of a backbone become the targets of a student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional

from ltbench.methods.blocks.embedding import coarsen, concat_embedding

Maps = tuple[torch.Tensor, ...]
"""Target maps, channels first: (B, C, h, w), or (B, C, T) for patch tokens after their prefix tokens."""
Arrange = Callable[[Sequence[torch.Tensor]], Maps]


def as_they_are(maps: Sequence[torch.Tensor]) -> Maps:
    """Keep every layer as a target of its own."""
    return tuple(maps)


def finest(maps: Maps) -> torch.Tensor:
    """Select the first map."""
    return maps[0]


def side_by_side(grid: int | None) -> Arrange:
    """Concatenate 3 x 3 means of all layers on the first layer's grid, pooled to `grid` x `grid`."""
    # A partial function can be stored with a fitted method, an inner function cannot.
    return partial(_side_by_side, grid=grid)


def _side_by_side(maps: Sequence[torch.Tensor], grid: int | None) -> Maps:
    """Concatenate the channels of maps on one grid, as one target."""
    return (coarsen(concat_embedding(maps), grid).permute(0, 3, 1, 2).contiguous(),)


def resized_side_by_side(side: int) -> Arrange:
    """Concatenate all layers, resized to `side` x `side` with aligned corners (UniAD, HVQ-Trans)."""
    return partial(_resized_side_by_side, side=side)


def _resized_side_by_side(maps: Sequence[torch.Tensor], side: int) -> Maps:
    """Concatenate the channels of maps resized to `side` x `side`, as one target."""
    return (torch.cat([_resized(features, side) for features in maps], dim=1),)


def pyramid(side: int | None, levels: int = 3) -> Arrange:
    """Arrange maps as a pyramid of `levels` scales, each half the size of the one before.

    The first map has `side` x `side` cells (None = its own size). A single layer is pooled to all scales.
    """
    return partial(_pyramid, side=side, levels=levels)


def _pyramid(maps: Sequence[torch.Tensor], side: int | None, levels: int) -> Maps:
    """Pool maps to a pyramid, see `pyramid`."""
    if len(maps) == 1:
        maps = tuple(maps) * levels
    first = side or maps[0].shape[2]
    return tuple(_pooled(features, first >> level) for level, features in enumerate(maps))


def _resized(features: torch.Tensor, side: int) -> torch.Tensor:
    """Resize maps to `side` x `side` bilinearly with aligned corners."""
    if features.shape[2:] == (side, side):
        return features
    return functional.interpolate(features, (side, side), mode="bilinear", align_corners=True)


def _pooled(features: torch.Tensor, side: int) -> torch.Tensor:
    """Average-pool maps to `side` x `side`."""
    if features.shape[2:] == (side, side):
        return features
    return functional.adaptive_avg_pool2d(features, (side, side))
