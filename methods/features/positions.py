"""Position embeddings of vision transformers on another grid, as DINO's own code resamples them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

OFFSET = 0.1
"""Cells by which the target grid is taken as larger: DINO's guard against a row lost to rounding."""


class Positions:
    """The position embeddings of one of timm's vision transformers, resampled to the grid of each image size.

    Bicubic without antialiasing, by the factor (cells + 0.1) / (cells of the training), as Dinomaly's and
    INP-Former's code does; timm itself antialiases and takes the exact factor.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._trained: torch.Tensor | None = getattr(model, "pos_embed", None)
        self._grid: tuple[int, int] = tuple(model.patch_embed.grid_size)

    def fit(self, height: int, width: int) -> None:
        """Give the model positions for images of this size in pixels."""
        model = self._model
        if self._trained is None or not getattr(model, "dynamic_img_size", False):
            return
        patch = model.patch_embed.patch_size
        grid = (height // patch[0], width // patch[1])
        if tuple(model.patch_embed.grid_size) == grid:
            return
        model.pos_embed = nn.Parameter(self._resampled(grid), requires_grad=False)
        # timm leaves positions of the right grid as they are.
        model.patch_embed.grid_size = grid

    def _resampled(self, grid: tuple[int, int]) -> torch.Tensor:
        trained = self._trained
        assert trained is not None
        if grid == self._grid:
            return trained
        rows, columns = self._grid
        prefix = trained.shape[1] - rows * columns
        square = trained[:, prefix:].float().unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
        factors = [(cells + OFFSET) / own for cells, own in zip(grid, self._grid, strict=True)]
        resized = functional.interpolate(square, scale_factor=factors, mode="bicubic")
        flat = resized.flatten(2).transpose(1, 2).to(trained.dtype)
        return torch.cat([trained[:, :prefix], flat], dim=1)
