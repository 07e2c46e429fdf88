"""TailSampler of TailedCore: finds the images of small classes from global embeddings alone.

Jung et al., CVPR 2025, section 3, with the variants of the authors' released code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltbench.methods.blocks.threads import one_blas_thread

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Neighbours = Literal["reverse", "forward"]


@dataclass(frozen=True)
class TailEstimate:
    """Estimated class sizes of a training set and the images of its tail classes."""

    tail: npt.NDArray[np.bool_]
    """(n,), true for an image of a tail class."""
    class_size: Ints
    """(n,), estimated number of images of each image's class."""
    groups: Ints
    """Estimated size of each class, descending."""
    limit: int
    """Largest size of a tail class; 0 = no tail."""


def estimate_tail(
    embeddings: Floats,
    *,
    percentile: float = 0.85,
    neighbours: Neighbours = "reverse",
    quantise: bool = True,
    cap: float | None = 0.15,
    least_imbalance: float = 2.0,
) -> TailEstimate:
    """Find the images of small classes among embeddings (TailedCore, section 3).

    Args:
        embeddings: (n, D) global embeddings.
        percentile: Share of the half-angle neighbourhood that an image's adaptive threshold keeps.
        neighbours: Neighbours whose neighbourhood sizes vote for an image's class size: the images whose
            neighbourhood contains it ("reverse", the code) or those in its neighbourhood ("forward", the
            paper's formula).
        quantise: Round similarities down to multiples of 1/n before the threshold, as the code does.
        cap: Largest share of all images in tail classes (code); None = no cap (paper).
        least_imbalance: Smallest ratio of the largest to the smallest class for there to be a tail. At most
            1 = always a tail, as in the code; equally large classes are then all tails.
    """
    if len(embeddings) == 0:
        return TailEstimate(np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, np.int64), 0)
    similarity = cosine_similarity(embeddings)
    within = similarity >= adaptive_threshold(similarity, percentile, quantise=quantise)[:, None]
    size = class_size(within, neighbours)
    groups = group_sizes(size)
    limit = tail_limit(groups, cap=cap, least_imbalance=least_imbalance)
    return TailEstimate(size <= limit, size, groups, limit)


def cosine_similarity(embeddings: Floats) -> npt.NDArray[np.float64]:
    """Cosine similarities (n, n), 1 on the diagonal; a zero embedding has similarity 0 to all others."""
    rows = np.asarray(embeddings, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(length > 0, length, 1.0)
    # A last bit decides whether a similarity is rounded down to the next multiple of 1/n.
    with one_blas_thread():
        similarity: npt.NDArray[np.float64] = np.clip(unit @ unit.T, -1.0, 1.0)
    np.fill_diagonal(similarity, 1.0)
    return similarity


def adaptive_threshold(
    similarity: npt.NDArray[np.float64], percentile: float, *, quantise: bool
) -> npt.NDArray[np.float64]:
    """Similarity (n,) that another image must reach to be a neighbour of each image.

    The neighbours of image i are the nearest `percentile` share of the images within half of its largest
    angle to any image.
    """
    n = len(similarity)
    rows = np.trunc(n * similarity) / n if quantise else similarity
    ordered = np.sort(rows, axis=1)
    half = np.cos(np.arccos(np.clip(ordered[:, 0], -1.0, 1.0)) / 2)
    thresholds = np.empty(n)
    for index, row in enumerate(ordered):
        inside = row[row > half[index]]
        # Empty only if an image is dissimilar to itself after rounding down, or all images coincide.
        inside = inside if len(inside) else row[-1:]
        # A count of zero selects the first value, as indexing with -0 does in the authors' code.
        thresholds[index] = inside[-int(percentile * len(inside))]
    return thresholds


def class_size(within: npt.NDArray[np.bool_], neighbours: Neighbours = "reverse") -> Ints:
    """Estimate class sizes (n,) as the mode of the neighbourhood sizes of an image's neighbours.

    Args:
        within: (n, n) flags; row i marks the images in the neighbourhood of image i.
        neighbours: "reverse" or "forward", see `estimate_tail`.

    Returns:
        int64 (n,); the smallest of several modes.
    """
    sizes = within.sum(axis=1)
    member = within.T if neighbours == "reverse" else within
    modes = np.empty(len(sizes), dtype=np.int64)
    for index, row in enumerate(member):
        counts = np.bincount(sizes[row]) if row.any() else np.bincount(sizes[[index]])
        # argmax returns the first maximum, which is the smallest size.
        modes[index] = counts.argmax()
    return np.maximum(modes, 1)


def group_sizes(sizes: Ints) -> Ints:
    """Derive the size of each class, descending, from per-image sizes (paper, recursion for eta).

    >>> group_sizes(np.array([2, 2, 4, 4, 4, 4])).tolist()
    [4, 2]
    """
    rest = np.sort(np.maximum(np.asarray(sizes, dtype=np.int64), 1))
    groups: list[int] = []
    while len(rest):
        first = int(rest[0])
        if len(rest) < first and groups:
            groups[-1] += len(rest)
            break
        size = min(max(round(float(rest[:first].mean())), 1), len(rest))
        groups.append(size)
        rest = rest[size:]
    return np.array(sorted(groups, reverse=True), dtype=np.int64)


def elbow(groups: Ints) -> int:
    """Elbow of the descending group sizes: the one farthest from the chord between the first and the last."""
    last = len(groups) - 1
    if last < 1:
        return int(groups[0])
    position = np.arange(len(groups))
    # Distance from the line through (0, g_0) and (last, g_last), up to the constant length of the chord.
    height = np.abs(last * (groups - groups[0]) - position * (groups[-1] - groups[0]))
    return int(groups[int(height.argmax())])


def capped_size(groups: Ints, share: float) -> int:
    """Largest tail-class size for which smaller classes together hold at most `share` of all images."""
    ascending = groups[::-1]
    count = int((np.cumsum(ascending) <= int(share * groups.sum())).sum())
    return int(groups[min(len(groups) - count, len(groups) - 1)])


def tail_limit(groups: Ints, *, cap: float | None, least_imbalance: float) -> int:
    """Largest size of a tail class; 0 if the class sizes are too balanced for a tail."""
    if groups[0] < least_imbalance * groups[-1]:
        return 0
    limit = elbow(groups)
    return limit if cap is None else min(limit, capped_size(groups, cap))
