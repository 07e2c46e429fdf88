"""Patch vectors from backbone feature maps: PatchCore's and PaDiM's, and smoothed maps side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter

Kind = Literal["patchcore", "padim"]


def embed(
    maps: Sequence[torch.Tensor], *, kind: Kind, dim: int = 1024, patch: int = 3, grid: int | None = None
) -> torch.Tensor:
    """Embed feature maps as patch vectors on the grid of the first layer.

    Args:
        maps: One (B, C, h, w) tensor per layer, finest first.
        kind: "patchcore" (D = dim) or "padim" (D = sum of the layers' channels).
        dim: Width of the "patchcore" embedding.
        patch: Side of the neighbourhood that "patchcore" averages over, in grid cells.
        grid: Rows and columns to average-pool the vectors to; None or a grid that is not coarser keeps the
            first layer's grid.

    Returns:
        (B, h, w, D), contiguous.

    Raises:
        BadParameter: For an unknown kind.
    """
    if kind == "patchcore":
        vectors = patchcore_embedding(maps, dim=dim, patch=patch)
    elif kind == "padim":
        vectors = padim_embedding(maps)
    else:
        raise BadParameter(f"unknown embedding '{kind}': expected 'patchcore' or 'padim'")
    return coarsen(vectors, grid)


def patchcore_embedding(maps: Sequence[torch.Tensor], *, dim: int = 1024, patch: int = 3) -> torch.Tensor:
    """Compute PatchCore's patch features (Roth et al. 2022, eq. 1-3), (B, h, w, dim).

    Uses the closed form where the channel counts allow it: equal up to rounding, and many times faster.
    """
    if _closed_form_applies(maps, dim, patch):
        return closed_form_embedding(maps[0], maps[1])
    return unfold_embedding(maps, dim=dim, patch=patch)


def _closed_form_applies(maps: Sequence[torch.Tensor], dim: int, patch: int) -> bool:
    """Check for layers of D/2 and D channels and 3 x 3 neighbourhoods, as the closed form requires."""
    return len(maps) == 2 and patch == 3 and 2 * maps[0].shape[1] == dim and maps[1].shape[1] == dim


def closed_form_embedding(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    """Compute PatchCore's embedding of layers with D/2 and D channels, (B, h, w, D), in closed form.

    Examples are layer2 and layer3 of Wide-ResNet-50. Unfolding, resizing and both adaptive poolings are
    linear, and for these channel counts their product is simple. The first half of the vector is `fine`
    convolved with the zero-padded depthwise kernel [1 1 1; 1 2 1; 1 1 1]/10 (two bins of five that share the
    centre). The second half is the mean of channels 2j and 2j+1 of `coarse` after a zero-padded 3x3 mean,
    resized.
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
    """Compute PatchCore's embedding for any layers and channel counts, (B, h, w, dim).

    The zero-padded `patch` x `patch` block around each position is pooled adaptively over (channel, row,
    column) to `dim` numbers; the stacked vectors of all layers are pooled to `dim` again. Pooling over
    channels and resizing over positions commute, so coarse layers are pooled on their own, smaller grid.
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
    """Concatenate the channels of all layers, coarser layers repeated to the first grid, (B, h, w, sum of C).

    PaDiM (Defard et al. 2021, section 3.1) as its re-implementations compute it.
    """
    size = maps[0].shape[2:]
    repeated = [functional.interpolate(features, size=size, mode="nearest") for features in maps]
    return torch.cat([features.permute(0, 2, 3, 1) for features in repeated], dim=3).contiguous()


def concat_embedding(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Concatenate the channels of all layers after a 3 x 3 mean, (B, h, w, sum of C).

    Coarser layers are resized bilinearly to the grid of the first. At the border the mean is over the
    positions that exist, so that a uniform image has uniform features.
    """
    batch, _, rows, columns = maps[0].shape
    out = maps[0].new_empty(batch, rows, columns, sum(features.shape[1] for features in maps))
    start = 0
    for features in maps:
        channels = features.shape[1]
        mean = features.contiguous(memory_format=torch.channels_last)
        mean = functional.avg_pool2d(mean, 3, stride=1, padding=1, count_include_pad=False)
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
    """Resize maps bilinearly unless they have the size already."""
    if tuple(features.shape[2:]) == size:
        return features
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)
