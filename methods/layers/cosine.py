"""Cosine objectives of reconstruction methods, and how they weight points by scaling gradients only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

Weighting = Callable[[torch.Tensor], torch.Tensor]
"""From point distances (B, h, w) to what each point's gradient is multiplied with, (B, h, w)."""


def scale_grad(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The same values, whose gradient is multiplied by `weights` on the way back."""
    fixed = values.detach()
    return fixed + weights * (values - fixed)


def point_distance(target: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """1 - cosine over the channels of (B, C, h, w), in float32: (B, h, w)."""
    return 1 - functional.cosine_similarity(target.float(), output.float(), dim=1)


def global_cosine(
    target: torch.Tensor, output: torch.Tensor, weighting: Weighting | None = None
) -> torch.Tensor:
    """1 - cosine of whole images (C, h, w as one vector), mean over the batch; no gradient to the target."""
    target, output = target.detach().float(), output.float()
    if weighting is not None:
        with torch.no_grad():
            weights = weighting(point_distance(target, output))
        output = scale_grad(output, weights[:, None])
    return (1 - functional.cosine_similarity(target.flatten(1), output.flatten(1), dim=1)).mean()


def grouped_cosine(
    targets: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], weighting: Weighting | None = None
) -> torch.Tensor:
    """Mean of `global_cosine` over groups of layers."""
    losses = [global_cosine(*pair, weighting) for pair in zip(targets, outputs, strict=True)]
    return torch.stack(losses).mean()


def grouped_distance(targets: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Score map: mean over groups of 1 - cosine at each point, (B, h, w); no gradient to the targets."""
    maps = [point_distance(target.detach(), output) for target, output in zip(targets, outputs, strict=True)]
    return torch.stack(maps).mean(dim=0)


def hard_mining(discarded: float, factor: float = 0.1) -> Weighting:
    """Gradients of the `discarded` share of points with the smallest distances are multiplied by `factor`.

    Dinomaly (Guo et al., CVPR 2025): the threshold is taken over all points of the batch; 0 changes nothing.
    """

    def weights(distance: torch.Tensor) -> torch.Tensor:
        flat = distance.flatten()
        # 20 * (1 - 0.9) is 1.9999999999999996.
        kept = max(1, int(round(len(flat) * (1 - discarded), 6)))
        threshold = flat.topk(kept, sorted=True).values[-1]
        return torch.where(distance < threshold, factor, 1.0)

    return weights


def soft_mining(power: float) -> Weighting:
    """Gradients are multiplied by (distance / mean distance)^power; INP-Former (Luo et al., CVPR 2025): 3."""

    def weights(distance: torch.Tensor) -> torch.Tensor:
        return (distance / distance.mean().clamp_min(1e-12)).clamp_min(0) ** power

    return weights


def ramp(done: float, final: float, needed: float) -> float:
    """`final` reached linearly when `needed` (iterations, or a share of them) is done, and kept."""
    return final * min(done / needed, 1.0) if needed > 0 else final
