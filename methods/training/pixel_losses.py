"""Segmentation losses on probability maps: focal and dice."""

from __future__ import annotations

import torch

SMOOTHING = 1e-5


def focal(probabilities: torch.Tensor, target: torch.Tensor, gamma: float = 2.0) -> torch.Tensor:
    """Focal loss: mean of -(1 - p)^gamma log p over all pixels (Lin et al., ICCV 2017), no class weights.

    p is the probability of the target class, with the label smoothed by 1e-5 and 1e-5 added to p, as in
    AnomalyCLIP's code.

    Args:
        probabilities: (B, 2, H, W), normal and abnormal.
        target: (B, H, W), true where abnormal.
        gamma: Focusing exponent.

    Returns:
        Scalar loss.
    """
    abnormal = target.to(probabilities).clamp(SMOOTHING, 1 - SMOOTHING)
    p = probabilities[:, 0] * (1 - abnormal) + probabilities[:, 1] * abnormal + SMOOTHING
    return (-((1 - p).clamp(min=0) ** gamma) * p.log()).mean()


def dice(probabilities: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Dice loss: mean over images of 1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1); (B, H, W) both."""
    p, t = probabilities.flatten(1), target.to(probabilities).flatten(1)
    overlap = (p * t).sum(dim=1)
    return (1 - (2 * overlap + 1) / (p.sum(dim=1) + t.sum(dim=1) + 1)).mean()
