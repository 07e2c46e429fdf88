"""Phase 2: the reconstruction module beside the semantic head, and what they are trained on."""

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
    """Phi: patches (B, T, C) -> the space of the texts (B, T, d).

    "layerwise": a linear layer per layer of the backbone, pooled over layers (2). "joint": one linear layer
    of all channels together (Table 7, row 7.1).
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
        parts = patches.split(self._channels, dim=-1)
        projected = [layer(part) for layer, part in zip(self.layers, parts, strict=True)]
        return pooled_projection(projected, self._pooling)


@dataclass(frozen=True)
class Detection:
    """What phase 2 trains; None = left out, and so out of the score."""

    reconstruction: ReconstructionTransformer | None
    """Pi."""
    semantic: SemanticHead | None
    """Phi."""

    def parts(self) -> Iterator[nn.Module]:
        return (part for part in (self.reconstruction, self.semantic) if part is not None)


def mixed_features(
    real: torch.Tensor, synthetic: torch.Tensor, real_probability: torch.Tensor
) -> torch.Tensor:
    """Each image's features f^real with probability p_c, else f^syn: (B, T, C).

    real_probability: (B,), p_c of each image's class.
    """
    take_real = torch.rand(len(real), device=real.device) < real_probability
    return torch.where(take_real[:, None, None], real, synthetic)


def inverse_probability(ids: torch.Tensor, classes: int) -> torch.Tensor:
    """p_c of the distribution-aware variant (Table 6, row 6.4), (K,): synthetic ones for rare classes.

    The share of synthetic features is inverse to a class' images and 1 for the rarest class.
    """
    counts = torch.bincount(ids, minlength=classes).clamp_min(1)
    present = torch.bincount(ids, minlength=classes) > 0
    return 1 - counts[present].min() / counts


def shifted_classes(classes: int, order: torch.Tensor) -> torch.Tensor:
    """For each class another one (Table 8, row 8.1), int64 (K,): the next in a random cyclic order."""
    answer = torch.empty(classes, dtype=torch.int64)
    answer[order] = order.roll(1)
    return answer
