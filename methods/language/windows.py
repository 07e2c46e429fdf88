"""Scores of overlapping windows and of references: the parts of WinCLIP between embeddings and a map."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional


def harmonic_over_windows(scores: torch.Tensor, side: int) -> torch.Tensor:
    """Harmonic mean of the windows that cover each patch: (B, m, m) -> float64 (B, m + side - 1, ...).

    scores: one non-negative number per `side` x `side` window, stride 1 (Jeong et al., CVPR 2023, 4.2). A
    patch under a window of score 0 gets 0.
    """
    inverse = 1 / scores.to(torch.float64)[:, None]
    kernel = torch.ones(1, 1, side, side, dtype=torch.float64, device=scores.device)
    total = functional.conv_transpose2d(inverse, kernel)
    covering = functional.conv_transpose2d(torch.ones_like(inverse), kernel)
    return (covering / total)[:, 0]


def harmonic_of(maps: list[torch.Tensor]) -> torch.Tensor:
    """Harmonic mean of maps (B, h, w) of non-negative numbers; 0 where one of them is 0."""
    stacked = torch.stack([part.to(torch.float64) for part in maps])
    return len(maps) / (1 / stacked).sum(dim=0)


def unit_vectors(maps: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) -> (B, h * w, C) of length 1."""
    return functional.normalize(maps.flatten(2).transpose(1, 2), dim=-1)


def distance_to_references(queries: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """(1 - largest cosine to any reference) / 2: unit (B, n, C) and (R, C) -> (B, n) in [0, 1]."""
    return ((1 - largest_cosine(queries, references)) / 2).clamp(0, 1)


def largest_cosine(queries: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """(B, n, C), (R, C), both of unit vectors -> (B, n); one image of (n, R) cosines at a time."""
    return torch.stack([(image @ references.T).amax(dim=1) for image in queries])


def drawn_references(
    class_ids: np.ndarray, shots: int, rng: np.random.Generator
) -> tuple[dict[int, np.ndarray], int]:
    """Indices of up to `shots` images per class, none twice, and how many classes have fewer than that."""
    drawn: dict[int, np.ndarray] = {}
    for class_id in np.unique(class_ids):
        images = np.flatnonzero(class_ids == class_id)
        drawn[int(class_id)] = np.sort(rng.choice(images, size=min(shots, len(images)), replace=False))
    return drawn, sum(len(images) < shots for images in drawn.values())
