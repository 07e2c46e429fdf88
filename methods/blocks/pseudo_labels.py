"""Labels for patches of an unlabelled training set, from distances to images that look normal so far.

The steps of FUN-AD (Im et al., WACV 2025) as functions of tensors; distances are squared Euclidean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ltbench.methods.training.precision import in_full_precision

SAME_BELOW = 1e-2
"""A squared distance below this is that of a patch to itself."""
ANOMALOUS_ABOVE = 0.5
"""Normalised distance from which a patch is labelled anomalous."""
SHAKEN_BELOW = 0.9
"""Normalised distance up to which a patch labelled anomalous is only barely so, and gets noise."""
_QUERIES_AT_ONCE = 2048


def normal_looking(scores: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random half of the images whose score, scaled to 0 to 1 over all, is below 0.5; at least one."""
    low, high = float(scores.min()), float(scores.max())
    scaled = (scores - low) / (high - low) if high > low else np.zeros_like(scores)
    candidates = rng.permutation(np.flatnonzero(scaled < ANOMALOUS_ABOVE))
    return np.sort(candidates[: max(1, len(candidates) // 2)])


@torch.no_grad()
def distances_to_others(queries: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Squared distance of (Q, D) rows to the nearest of (M, D) that is not the row itself, (Q,)."""
    count = min(2, len(bank))
    found = torch.cat(
        [
            _squared_distances(part, bank).topk(count, dim=1, largest=False).values
            for part in queries.split(_QUERIES_AT_ONCE)
        ]
    )
    found = torch.where(found < SAME_BELOW, 0.0, found)
    return torch.where(found[:, 0] > 0, found[:, 0], found[:, -1])


def scaled(distances: torch.Tensor) -> torch.Tensor:
    """Distances of a batch from 0, the smallest, to 1, the largest; all 0 where they are equal."""
    low, high = distances.min(), distances.max()
    return (distances - low) / (high - low).clamp_min(torch.finfo(distances.dtype).tiny)


def shaken(tokens: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """(B, T, C) with noise on the patches that are barely anomalous by their scaled distance, (B, T).

    The deviation of a channel's noise is the largest, over the positions, of the channel's deviation over
    the images of the batch.
    """
    if len(tokens) < 2:
        return tokens
    deviation = tokens.std(dim=0).amax(dim=0)
    barely = (distances > ANOMALOUS_ABOVE) & (distances < SHAKEN_BELOW)
    return tokens + torch.randn_like(tokens) * deviation * barely[..., None]


def balanced_cross_entropy(logits: torch.Tensor, anomalous: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the anomalous patches plus that of the normal ones; of an empty side 0."""
    sides = (functional.softplus(-logits[anomalous]), functional.softplus(logits[~anomalous]))
    return sum((side.mean() for side in sides if len(side)), logits.new_zeros(()))


@torch.no_grad()
def mutual_pairs(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows i < j of (Q, D) that are each other's nearest, int64 (pairs,) each."""
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
    """Mean of |s_a - s_b| / 2 over pairs of patches; 0 without a pair."""
    first, second = pairs
    if not len(first):
        return probabilities.new_zeros(())
    return (probabilities[first] - probabilities[second]).abs().mean() / 2


@in_full_precision
def _squared_distances(queries: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(Q, M), never negative."""
    product = torch.addmm(rows.square().sum(dim=1)[None], queries, rows.T, alpha=-2)
    return (product + queries.square().sum(dim=1, keepdim=True)).clamp_min(0)
