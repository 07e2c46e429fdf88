"""The backbone `grey-grid`: mean and spread of grey values in cells of 8 x 8 pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter

VERSION = 1


class GreyGrid:
    """Frozen features without weights; `ltbench.methods.features.backbone.Backbone` explains the parts."""

    name = "grey-grid"
    digest = hashlib.sha256(f"grey-grid {VERSION}".encode()).hexdigest()
    layers = ("cells",)

    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        grey = pixels.float().mean(dim=1, keepdim=True) / 255
        mean = functional.avg_pool2d(grey, 8)
        spread = (functional.avg_pool2d(grey.square(), 8) - mean.square()).clamp_min(0).sqrt()
        cells = torch.cat([mean, spread], dim=1)
        return {"cells": cells, "pooled": cells.mean(dim=(2, 3))}


def load(model: str, *, device: str, weights_root: Path | None, layers: tuple[str, ...] | None) -> GreyGrid:  # noqa: ARG001
    """Return the backbone. Raises BadParameter for a model name or layer that it does not have."""
    if model or set(layers or ()) - {"cells"}:
        raise BadParameter("backbone 'grey-grid' has no models and the one layer 'cells'")
    return GreyGrid()
