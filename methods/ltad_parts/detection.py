"""Networks of LTAD's phase 2: the reconstruction module and the semantic head, and their training data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from ltbench.methods.layers.uniad import ReconstructionTransformer
from ltbench.methods.ltad_parts.equations import Pooling, pooled_projection

Projection = Literal["layerwise", "joint"]


class SemanticHead(nn.Module):
    """Semantic head Phi: projects patches (B, T, C) to the text space (B, T, d).

    Args:
        channels: Channels of each backbone layer.
        dim: Dimensions d of the text space.
        projection: "layerwise" = one linear layer per backbone layer, pooled over layers (2); "joint" = one
            linear layer on all channels (Table 7, row 7.1).
        pooling: Pooling over the layers' projections.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        dim: int,
        projection: Projection = "layerwise",
        pooling: Pooling = "max",
    ) -> None:
        super().__init__()
        self._channels = list(channels) if projection == "layerwise" else [sum(channels)]
        self._pooling = pooling
        self.layers = nn.ModuleList(nn.Linear(count, dim) for count in self._channels)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Project patches (B, T, sum of channels) to the text space: (B, T, d)."""
        parts = patches.split(self._channels, dim=-1)
        projected = [layer(part) for layer, part in zip(self.layers, parts, strict=True)]
        return pooled_projection(projected, self._pooling)


@dataclass(frozen=True)
class Detection:
    """Modules trained in phase 2; a module that is None has no part in the score."""

    reconstruction: ReconstructionTransformer | None
    """Reconstruction module Pi."""
    semantic: SemanticHead | None
    """Semantic head Phi."""

    def parts(self) -> Iterator[nn.Module]:
        """Yield the modules that are present."""
        return (part for part in (self.reconstruction, self.semantic) if part is not None)


def mixed_features(
    real: torch.Tensor, synthetic: torch.Tensor, real_probability: torch.Tensor
) -> torch.Tensor:
    """Choose real features with probability p_c for each image, else synthetic ones: (B, T, C).

    Args:
        real: f^real, (B, T, C).
        synthetic: f^syn, (B, T, C).
        real_probability: (B,), p_c of each image's class.
    """
    take_real = torch.rand(len(real), device=real.device) < real_probability
    return torch.where(take_real[:, None, None], real, synthetic)


def inverse_probability(ids: torch.Tensor, classes: int) -> torch.Tensor:
    """Probability p_c of real features (K,) in the distribution-aware variant (Table 6, row 6.4).

    The share 1 - p_c of synthetic features is inverse to the number of a class' images and 1 for the rarest
    class.
    """
    counts = torch.bincount(ids, minlength=classes).clamp_min(1)
    present = torch.bincount(ids, minlength=classes) > 0
    return 1 - counts[present].min() / counts


def shifted_classes(classes: int, order: torch.Tensor) -> torch.Tensor:
    """Assign each class another one, its predecessor in the cyclic `order` (Table 8, row 8.1): int64 (K,)."""
    other = torch.empty(classes, dtype=torch.int64)
    other[order] = order.roll(1)
    return other
