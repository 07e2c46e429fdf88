"""How the maps of a backbone become the targets of a student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional

from ltbench.methods.blocks.embedding import coarsen, concat_embedding

Maps = tuple[torch.Tensor, ...]
"""Channels first: (B, C, h, w), or (B, C, T) where tokens come before the patches."""
Arrange = Callable[[Sequence[torch.Tensor]], Maps]


def as_they_are(maps: Sequence[torch.Tensor]) -> Maps:
    """Every layer for itself."""
    return tuple(maps)


def finest(maps: Maps) -> torch.Tensor:
    """The first map."""
    return maps[0]


def side_by_side(grid: int | None) -> Arrange:
    """One map: 3 x 3 means of all layers on the first one's grid, pooled to `grid` x `grid`."""
    # A partial function is stored with a fitted method, an inner function could not be.
    return partial(_side_by_side, grid=grid)


def _side_by_side(maps: Sequence[torch.Tensor], grid: int | None) -> Maps:
    return (coarsen(concat_embedding(maps), grid).permute(0, 3, 1, 2).contiguous(),)


def resized_side_by_side(side: int) -> Arrange:
    """One map: all layers resized to `side` x `side`, corners on corners (UniAD, HVQ)."""
    return partial(_resized_side_by_side, side=side)


def _resized_side_by_side(maps: Sequence[torch.Tensor], side: int) -> Maps:
    return (torch.cat([_resized(features, side) for features in maps], dim=1),)


def pyramid(side: int | None, levels: int = 3) -> Arrange:
    """`levels` maps, each half as large as the one before; the first `side` x `side` (None = as it is).

    A backbone with a single layer is pooled to all of them.
    """
    return partial(_pyramid, side=side, levels=levels)


def _pyramid(maps: Sequence[torch.Tensor], side: int | None, levels: int) -> Maps:
    if len(maps) == 1:
        maps = tuple(maps) * levels
    first = side or maps[0].shape[2]
    return tuple(_pooled(features, first >> level) for level, features in enumerate(maps))


def _resized(features: torch.Tensor, side: int) -> torch.Tensor:
    if features.shape[2:] == (side, side):
        return features
    return functional.interpolate(features, (side, side), mode="bilinear", align_corners=True)


def _pooled(features: torch.Tensor, side: int) -> torch.Tensor:
    if features.shape[2:] == (side, side):
        return features
    return functional.adaptive_avg_pool2d(features, (side, side))
