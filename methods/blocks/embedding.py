"""From backbone feature maps to one vector per patch: PatchCore's, PaDiM's, or channels of smoothed maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter

Kind = Literal["patchcore", "padim", "concat"]


def embed(
    maps: Sequence[torch.Tensor], *, kind: Kind, dim: int = 1024, patch: int = 3, grid: int | None = None
) -> torch.Tensor:
    """Patch vectors on the grid of the first layer, (B, h, w, D), contiguous.

    maps: one (B, C, h, w) tensor per layer, finest first. kind: "patchcore" (D = dim), "padim" or "concat"
    (D = sum of the layers' channels). grid: average-pool the vectors to this many rows and columns; None or
    a grid that is not coarser keeps the layer's own. Raises BadParameter for an unknown kind.
    """
    if kind == "patchcore":
        vectors = patchcore_embedding(maps, dim=dim, patch=patch)
    elif kind == "padim":
        vectors = padim_embedding(maps)
    elif kind == "concat":
        vectors = concat_embedding(maps, patch=patch)
    else:
        raise BadParameter(f"unknown embedding '{kind}': expected 'patchcore', 'padim' or 'concat'")
    return coarsen(vectors, grid)


def patchcore_embedding(maps: Sequence[torch.Tensor], *, dim: int = 1024, patch: int = 3) -> torch.Tensor:
    """Patch features as the authors of PatchCore compute them (Roth et al. 2022, eq. 1-3), (B, h, w, dim).

    Takes the closed form where the channel counts allow it: the same numbers up to rounding, many times
    faster.
    """
    if _closed_form_applies(maps, dim, patch):
        return closed_form_embedding(maps[0], maps[1])
    return unfold_embedding(maps, dim=dim, patch=patch)


def _closed_form_applies(maps: Sequence[torch.Tensor], dim: int, patch: int) -> bool:
    return len(maps) == 2 and patch == 3 and 2 * maps[0].shape[1] == dim and maps[1].shape[1] == dim


def closed_form_embedding(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    """The embedding of layers with D/2 and D channels (Wide-ResNet-50 layer2 + layer3), (B, h, w, D).

    Unfolding, resizing and both adaptive poolings are linear, and here their product is simple: the first
    half is `fine` under the zero-padded depthwise kernel [1 1 1; 1 2 1; 1 1 1]/10 (two bins of five that
    share the centre); the second half is the mean of channels 2j and 2j+1 of `coarse` under a zero-padded
    3x3 mean, resized.
    """
    batch, half, rows, columns = fine.shape
    out = fine.new_empty(batch, rows, columns, 2 * half)
    fine = fine.contiguous(memory_format=torch.channels_last)
    mean = functional.avg_pool2d(fine, 3, stride=1, padding=1)
    # (9 mean + centre) / 10
    torch.lerp(mean.permute(0, 2, 3, 1), fine.permute(0, 2, 3, 1), 0.1, out=out[..., :half])
    pairs = coarse[:, 0::2] + coarse[:, 1::2]
    pairs = pairs.mul_(0.5).contiguous(memory_format=torch.channels_last)
    pairs = _resize(functional.avg_pool2d(pairs, 3, stride=1, padding=1), (rows, columns))
    out[..., half:] = pairs.permute(0, 2, 3, 1)
    return out


def unfold_embedding(maps: Sequence[torch.Tensor], *, dim: int = 1024, patch: int = 3) -> torch.Tensor:
    """The same embedding for any layers and channel counts, (B, h, w, dim).

    Each position carries its zero-padded `patch` x `patch` block, pooled adaptively over (channel, row,
    column) to `dim` numbers; the layers' vectors, stacked, are pooled to `dim` again. Pooling runs over
    channels and resizing over positions, so the order is free: the coarse layers are pooled on their own
    grid, before they grow.
    """
    batch, _, rows, columns = maps[0].shape
    vectors = []
    for features in maps:
        _, channels, height, width = features.shape
        blocks = functional.unfold(features, patch, padding=patch // 2).transpose(1, 2)
        blocks = blocks.reshape(batch * height * width, 1, channels * patch * patch)
        pooled = functional.adaptive_avg_pool1d(blocks, dim).view(batch, height, width, dim)
        pooled = _resize(pooled.permute(0, 3, 1, 2), (rows, columns))
        vectors.append(pooled.permute(0, 2, 3, 1))
    stacked = torch.stack(vectors, dim=3).reshape(batch * rows * columns, 1, len(maps) * dim)
    return functional.adaptive_avg_pool1d(stacked, dim).view(batch, rows, columns, dim)


def padim_embedding(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Channels of all layers side by side, each cell of a coarser layer repeated over the finer cells in it.

    (Defard et al. 2021, section 3.1, as their re-implementations compute it.)
    """
    size = maps[0].shape[2:]
    repeated = [functional.interpolate(features, size=size, mode="nearest") for features in maps]
    return torch.cat([features.permute(0, 2, 3, 1) for features in repeated], dim=3).contiguous()


def concat_embedding(maps: Sequence[torch.Tensor], *, patch: int = 3) -> torch.Tensor:
    """Channels of all layers side by side after a `patch` x `patch` mean, (B, h, w, sum of channels).

    Coarser layers are resized bilinearly to the grid of the first. The mean at the border is over the
    positions that exist, so that a plain picture has plain features.
    """
    batch, _, rows, columns = maps[0].shape
    out = maps[0].new_empty(batch, rows, columns, sum(features.shape[1] for features in maps))
    start = 0
    for features in maps:
        channels = features.shape[1]
        mean = features.contiguous(memory_format=torch.channels_last)
        if patch > 1:
            mean = functional.avg_pool2d(mean, patch, stride=1, padding=patch // 2, count_include_pad=False)
        out[..., start : start + channels] = _resize(mean, (rows, columns)).permute(0, 2, 3, 1)
        start += channels
    return out


def coarsen(vectors: torch.Tensor, grid: int | None) -> torch.Tensor:
    """Average-pool (B, h, w, D) to (B, grid, grid, D); unchanged when `grid` is None or not coarser."""
    if grid is None or grid >= min(vectors.shape[1:3]):
        return vectors
    if grid < 1:
        raise BadParameter(f"grid is {grid}: expected at least 1, or none for the backbone's own grid")
    pooled = functional.adaptive_avg_pool2d(vectors.permute(0, 3, 1, 2), (grid, grid))
    return pooled.permute(0, 2, 3, 1).contiguous()


def _resize(features: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(features.shape[2:]) == size:
        return features
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)
