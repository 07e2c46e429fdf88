"""Cosine losses of reconstruction methods, with hard mining by gradient scaling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

Weighting = Callable[[torch.Tensor], torch.Tensor]
"""Function from the distances of all points (B, h, w) to the factors on their gradients (B, h, w)."""


def scale_grad(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the values unchanged, with their gradient multiplied by `weights` in the backward pass."""
    fixed = values.detach()
    return fixed + weights * (values - fixed)


def point_distance(target: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """1 - cosine over the channels of (B, C, h, w), in float32: (B, h, w)."""
    return 1 - functional.cosine_similarity(target.float(), output.float(), dim=1)


def global_cosine(
    target: torch.Tensor, output: torch.Tensor, weighting: Weighting | None = None
) -> torch.Tensor:
    """Mean over the batch of 1 - cosine of whole feature maps, each flattened to one vector.

    Args:
        target: (B, C, h, w) teacher features, detached.
        output: (B, C, h, w) student features.
        weighting: Factors on the gradients of single points; None = 1 everywhere.

    Returns:
        Scalar loss.
    """
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
    """Anomaly map (B, h, w): mean over groups of layers of 1 - cosine at each point, targets detached."""
    maps = [point_distance(target.detach(), output) for target, output in zip(targets, outputs, strict=True)]
    return torch.stack(maps).mean(dim=0)


def hard_mining(discarded: float, factor: float = 0.1) -> Weighting:
    """Scale down the gradients of well-reconstructed points, as Dinomaly does (Guo et al., CVPR 2025).

    Args:
        discarded: Share of points, among all of the batch, with the smallest distances; 0 changes nothing.
        factor: Factor on the gradients of these points.
    """

    def weights(distance: torch.Tensor) -> torch.Tensor:
        flat = distance.flatten()
        # 20 * (1 - 0.9) is 1.9999999999999996 in floating point.
        kept = max(1, int(round(len(flat) * (1 - discarded), 6)))
        threshold = flat.topk(kept, sorted=True).values[-1]
        return torch.where(distance < threshold, factor, 1.0)

    return weights


def soft_mining(power: float) -> Weighting:
    """Multiply gradients by (distance / mean distance)^power; INP-Former (Luo et al., CVPR 2025) uses 3."""

    def weights(distance: torch.Tensor) -> torch.Tensor:
        return (distance / distance.mean().clamp_min(1e-12)).clamp_min(0) ** power

    return weights


def ramp(done: float, final: float, needed: float) -> float:
    """Rise linearly from 0 to `final` until `done` (iterations, or a share of them) reaches `needed`.

    >>> ramp(50, 0.9, 100), ramp(200, 0.9, 100)
    (0.45, 0.9)
    """
    return final * min(done / needed, 1.0) if needed > 0 else final
