"""WinCLIP's aggregation of window scores and its comparison with reference images."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional


def harmonic_over_windows(scores: torch.Tensor, side: int) -> torch.Tensor:
    """Harmonic mean over the windows that cover each patch (WinCLIP, Jeong et al., CVPR 2023, section 4.2).

    Args:
        scores: (B, m, m), one non-negative score per `side` x `side` window at stride 1.
        side: Side of a window in patches.

    Returns:
        float64 (B, m + side - 1, m + side - 1); 0 for a patch under a window of score 0.
    """
    inverse = 1 / scores.to(torch.float64)[:, None]
    kernel = torch.ones(1, 1, side, side, dtype=torch.float64, device=scores.device)
    total = functional.conv_transpose2d(inverse, kernel)
    covering = functional.conv_transpose2d(torch.ones_like(inverse), kernel)
    return (covering / total)[:, 0]


def harmonic_of(maps: list[torch.Tensor]) -> torch.Tensor:
    """Harmonic mean of non-negative maps (B, h, w), pixel by pixel; 0 where one of them is 0."""
    stacked = torch.stack([part.to(torch.float64) for part in maps])
    return len(maps) / (1 / stacked).sum(dim=0)


def unit_vectors(maps: torch.Tensor) -> torch.Tensor:
    """Flatten maps (B, C, h, w) to unit vectors (B, h * w, C)."""
    return functional.normalize(maps.flatten(2).transpose(1, 2), dim=-1)


def distance_to_references(queries: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """(1 - largest cosine to any reference) / 2, in [0, 1]: unit (B, n, C) and (R, C) -> (B, n)."""
    return ((1 - largest_cosine(queries, references)) / 2).clamp(0, 1)


def largest_cosine(queries: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Largest cosine to any reference: unit (B, n, C) and (R, C) -> (B, n), image by image."""
    return torch.stack([(image @ references.T).amax(dim=1) for image in queries])


def drawn_references(
    class_ids: np.ndarray, shots: int, rng: np.random.Generator
) -> tuple[dict[int, np.ndarray], int]:
    """Draw up to `shots` images of each class without repetition.

    Returns:
        Ascending indices by class id, and the number of classes with fewer than `shots` images.
    """
    drawn: dict[int, np.ndarray] = {}
    for class_id in np.unique(class_ids):
        images = np.flatnonzero(class_ids == class_id)
        drawn[int(class_id)] = np.sort(rng.choice(images, size=min(shots, len(images)), replace=False))
    return drawn, sum(len(images) < shots for images in drawn.values())
