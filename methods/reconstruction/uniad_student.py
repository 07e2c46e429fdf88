"""UniAD as a student: one map is reconstructed from its jittered tokens."""

from __future__ import annotations

import torch

from ltbench.methods.layers.uniad import ReconstructionTransformer, feature_jitter
from ltbench.methods.reconstruction.arrangements import Maps
from ltbench.methods.reconstruction.hosting import Rebuilt, Student


class UniadStudent(Student):
    """UniAD's transformer with feature jittering in training (You et al., NeurIPS 2022)."""

    def __init__(self, transformer: ReconstructionTransformer, jitter: float, probability: float) -> None:
        super().__init__()
        self.transformer, self.jitter, self.probability = transformer, jitter, probability

    def forward(self, maps: Maps, class_ids: torch.Tensor | None) -> Rebuilt:
        """Reconstruct one map (B, C, h, w); class ids are ignored."""
        (features,) = maps
        tokens = features.float().flatten(2).transpose(1, 2)
        seen = feature_jitter(tokens, self.jitter, self.probability) if self.training else tokens
        rebuilt = self.transformer(seen).float().transpose(1, 2).unflatten(2, features.shape[2:])
        return Rebuilt((features,), (rebuilt,), rebuilt.new_zeros(()))

    def distance(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Euclidean distance over the channels (B, h, w)."""
        (target,), (output,) = rebuilt.targets, rebuilt.outputs
        # The square root has no gradient at 0.
        return (output - target.float()).square().sum(dim=1).clamp_min(1e-12).sqrt()

    def loss(self, rebuilt: Rebuilt, progress: float) -> torch.Tensor:
        """Mean squared error."""
        (target,), (output,) = rebuilt.targets, rebuilt.outputs
        return (output - target.float()).square().mean()
