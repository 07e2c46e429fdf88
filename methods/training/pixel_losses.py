"""Losses on maps of probabilities against masks: focal and dice."""

from __future__ import annotations

import torch

SMOOTHING = 1e-5


def focal(probabilities: torch.Tensor, target: torch.Tensor, gamma: float = 2.0) -> torch.Tensor:
    """Mean of -(1 - p)^gamma log p over all pixels (Lin et al., ICCV 2017), no class weights.

    probabilities: (B, 2, H, W), normal and abnormal. target: (B, H, W), true where abnormal; p is the
    probability of the target, its label smoothed by 1e-5 and 1e-5 added, as in the code of AnomalyCLIP.
    """
    abnormal = target.to(probabilities).clamp(SMOOTHING, 1 - SMOOTHING)
    found = probabilities[:, 0] * (1 - abnormal) + probabilities[:, 1] * abnormal + SMOOTHING
    return (-((1 - found).clamp(min=0) ** gamma) * found.log()).mean()


def dice(probabilities: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1) per image, then the mean over images: (B, H, W) each."""
    flat, wanted = probabilities.flatten(1), target.to(probabilities).flatten(1)
    overlap = (flat * wanted).sum(dim=1)
    return (1 - (2 * overlap + 1) / (flat.sum(dim=1) + wanted.sum(dim=1) + 1)).mean()
