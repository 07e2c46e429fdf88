"""Networks of Dinomaly and INP-Former, on tokens of a vision transformer or of any grid."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.features.block_groups import patches_only
from ltbench.methods.layers.attention import fitting_heads
from ltbench.methods.layers.blocks import (
    LinearAttentionBlock,
    Mlp,
    PrototypeDecoderBlock,
    PrototypeExtractor,
    narrow_init,
)
from ltbench.methods.layers.cosine import grouped_cosine, grouped_distance, hard_mining, ramp, soft_mining
from ltbench.methods.reconstruction.arrangements import Maps
from ltbench.methods.reconstruction.hosting import Rebuilt, Student
from ltbench.methods.training.precision import in_full_precision


class DinomalyNetwork(Student):
    """Dinomaly: noisy bottleneck and linear-attention blocks; the last blocks reconstruct the first group."""

    def __init__(
        self,
        width: int,
        groups: int,
        *,
        depth: int = 8,
        heads: int = 12,
        ratio: float = 4.0,
        dropout: float = 0.2,
        mining: float = 0.9,
        mining_ramp: float = 0.1,
    ) -> None:
        super().__init__()
        if depth < groups:
            raise BadParameter(f"depth is {depth}: expected at least one for each of {groups} groups")
        self.groups, self.mining, self.mining_ramp = groups, mining, mining_ramp
        hidden, heads = int(width * ratio), fitting_heads(width, heads)
        self.bottleneck = Mlp(width, hidden, dropout)
        self.blocks = nn.ModuleList(LinearAttentionBlock(width, heads, ratio) for _ in range(depth))
        self.apply(narrow_init)

    def forward(self, maps: Maps, class_ids: torch.Tensor | None = None) -> Rebuilt:
        """Reconstruct groups (B, C, T) or (B, C, h, w); prefix tokens are inputs but not compared."""
        groups = [features.flatten(2) for features in maps]
        tokens = self.bottleneck(torch.stack(groups).mean(dim=0).transpose(1, 2))
        outputs = []
        for block in self.blocks:
            tokens = block(tokens)
            outputs.append(tokens)
        means = [torch.stack(chunk).mean(dim=0) for chunk in _chunks(outputs, self.groups)][::-1]
        return Rebuilt(
            targets=tuple(patches_only(features) for features in groups),
            outputs=tuple(patches_only(mean.transpose(1, 2)) for mean in means),
            extra=tokens.new_zeros(()),
        )

    def distance(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Mean over groups of 1 - cosine."""
        return grouped_distance(rebuilt.targets, rebuilt.outputs)

    def loss(self, rebuilt: Rebuilt, progress: float) -> torch.Tensor:
        """Global cosine loss with hard mining, whose share of discarded points rises at the start."""
        discarded = ramp(progress, self.mining, self.mining_ramp)
        weighting = hard_mining(discarded) if discarded > 0 else None
        return grouped_cosine(rebuilt.targets, rebuilt.outputs, weighting)


class InpNetwork(Student):
    """INP-Former: extracts prototypes from the image, and reconstructs every token from them alone."""

    def __init__(
        self,
        width: int,
        groups: int,
        *,
        prototypes: int = 6,
        depth: int = 8,
        heads: int = 12,
        ratio: float = 4.0,
        mining_power: float = 3.0,
        coherence: float = 0.2,
    ) -> None:
        super().__init__()
        if depth < groups:
            raise BadParameter(f"depth is {depth}: expected at least one for each of {groups} groups")
        self.groups, self.mining_power, self.coherence = groups, mining_power, coherence
        hidden, heads = int(width * ratio), fitting_heads(width, heads)
        self.prototypes = nn.Parameter(torch.empty(1, prototypes, width))
        self.extractor = PrototypeExtractor(width, heads, ratio)
        self.bottleneck = Mlp(width, hidden)
        self.blocks = nn.ModuleList(PrototypeDecoderBlock(width, heads, ratio) for _ in range(depth))
        self.apply(narrow_init)
        nn.init.normal_(self.prototypes)

    def forward(self, maps: Maps, class_ids: torch.Tensor | None = None) -> Rebuilt:
        """Reconstruct groups; `extra` is the coherence loss, the mean distance to the nearest prototype."""
        targets = tuple(patches_only(features.flatten(2)) for features in maps)
        source = torch.stack(targets).mean(dim=0).flatten(2).transpose(1, 2)
        prototypes = self.extractor(self.prototypes.expand(len(source), -1, -1), source)
        tokens = self.bottleneck(source)
        outputs = []
        for block in self.blocks:
            tokens = block(tokens, prototypes)
            outputs.append(tokens)
        means = [torch.stack(chunk).mean(dim=0) for chunk in _chunks(outputs, self.groups)][::-1]
        return Rebuilt(
            targets=targets,
            outputs=tuple(patches_only(mean.transpose(1, 2)) for mean in means),
            extra=coherence_of(source, prototypes),
        )

    def distance(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Mean over groups of 1 - cosine."""
        return grouped_distance(rebuilt.targets, rebuilt.outputs)

    def loss(self, rebuilt: Rebuilt, progress: float) -> torch.Tensor:
        """Global cosine loss with soft mining, plus the weighted coherence loss."""
        weighting = soft_mining(self.mining_power) if self.mining_power else None
        return grouped_cosine(rebuilt.targets, rebuilt.outputs, weighting) + self.coherence * rebuilt.extra


@in_full_precision
def coherence_of(tokens: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """Coherence loss: mean over tokens (B, T, C) of 1 - largest cosine to a prototype (B, M, C).

    The tokens are detached.
    """
    tokens = functional.normalize(tokens.detach().float(), dim=2)
    prototypes = functional.normalize(prototypes.float(), dim=2)
    return (1 - (tokens @ prototypes.transpose(1, 2)).amax(dim=2)).mean()


def _chunks(outputs: list[torch.Tensor], groups: int) -> list[list[torch.Tensor]]:
    """Split outputs into contiguous chunks; the first ones are longer if they do not divide evenly."""
    whole, rest = divmod(len(outputs), groups)
    sizes = [whole + (number < rest) for number in range(groups)]
    starts = [sum(sizes[:number]) for number in range(groups)]
    return [outputs[start : start + size] for start, size in zip(starts, sizes, strict=True)]
