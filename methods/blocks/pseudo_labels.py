"""Pseudo-labels of FUN-AD (Im et al., WACV 2025) for patches of an unlabelled training set.

A patch is labelled by its squared Euclidean distance to images that look normal so far.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ltbench.methods.training.precision import in_full_precision

SAME_BELOW = 1e-2
"""Squared distance below which two patches count as the same patch."""
ANOMALOUS_ABOVE = 0.5
"""Normalised distance from which a patch is labelled anomalous."""
BORDERLINE_BELOW = 0.9
"""Normalised distance below which a patch labelled anomalous is a borderline case and gets noise."""
_QUERIES_AT_ONCE = 2048


def normal_looking(scores: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw half of the images whose min-max scaled score is below 0.5, at least one: ascending indices."""
    low, high = float(scores.min()), float(scores.max())
    scaled = (scores - low) / (high - low) if high > low else np.zeros_like(scores)
    candidates = rng.permutation(np.flatnonzero(scaled < ANOMALOUS_ABOVE))
    return np.sort(candidates[: max(1, len(candidates) // 2)])


@torch.no_grad()
def distances_to_others(queries: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Squared distance of queries (Q, D) to the nearest other row of a bank (M, D), (Q,).

    A row closer than `SAME_BELOW` counts as the query itself.
    """
    count = min(2, len(bank))
    nearest = torch.cat(
        [
            _squared_distances(part, bank).topk(count, dim=1, largest=False).values
            for part in queries.split(_QUERIES_AT_ONCE)
        ]
    )
    nearest = torch.where(nearest < SAME_BELOW, 0.0, nearest)
    return torch.where(nearest[:, 0] > 0, nearest[:, 0], nearest[:, -1])


def scaled(distances: torch.Tensor) -> torch.Tensor:
    """Min-max normalise the distances of a batch to [0, 1]; all 0 if they are equal."""
    low, high = distances.min(), distances.max()
    return (distances - low) / (high - low).clamp_min(torch.finfo(distances.dtype).tiny)


def shaken(tokens: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """Add Gaussian noise to the tokens (B, T, C) of borderline patches, chosen by scaled distance (B, T).

    The noise of a channel has the largest standard deviation that the channel has at any position over the
    images of the batch.
    """
    if len(tokens) < 2:
        return tokens
    deviation = tokens.std(dim=0).amax(dim=0)
    borderline = (distances > ANOMALOUS_ABOVE) & (distances < BORDERLINE_BELOW)
    return tokens + torch.randn_like(tokens) * deviation * borderline[..., None]


def balanced_cross_entropy(logits: torch.Tensor, anomalous: torch.Tensor) -> torch.Tensor:
    """Sum of the mean cross entropies of the anomalous and of the normal patches; 0 for an empty group."""
    sides = (functional.softplus(-logits[anomalous]), functional.softplus(logits[~anomalous]))
    return sum((side.mean() for side in sides if len(side)), logits.new_zeros(()))


@torch.no_grad()
def mutual_pairs(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the rows i < j of (Q, D) that are each other's nearest neighbour: two int64 tensors (pairs,)."""
    rows = torch.arange(len(features), device=features.device)
    if len(features) < 2:
        return rows[:0], rows[:0]
    nearest = []
    for part in rows.split(_QUERIES_AT_ONCE):
        distance = _squared_distances(features[part], features)
        distance[torch.arange(len(part), device=part.device), part] = torch.inf
        nearest.append(distance.argmin(dim=1))
    partner = torch.cat(nearest)
    first = rows[(partner[partner] == rows) & (rows < partner)]
    return first, partner[first]


def disagreement(probabilities: torch.Tensor, pairs: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Mean of |p_a - p_b| / 2 over pairs of patches with anomaly probabilities p; 0 without a pair."""
    first, second = pairs
    if not len(first):
        return probabilities.new_zeros(())
    return (probabilities[first] - probabilities[second]).abs().mean() / 2


@in_full_precision
def _squared_distances(queries: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances (Q, M), never negative."""
    product = torch.addmm(rows.square().sum(dim=1)[None], queries, rows.T, alpha=-2)
    return (product + queries.square().sum(dim=1, keepdim=True)).clamp_min(0)
