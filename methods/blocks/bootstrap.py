"""Mean nearest-neighbour distance over partial memory banks, each made of a few random images.

MeDS (Safarov et al., arXiv 2605.26676, eq. 5) averages nearest-neighbour distances over B memory banks, each
of a tenth of the images. The mean over all possible draws has a closed form in the order statistics of a
patch's distances to the images, so it can be computed without drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.base import Progress, no_progress
from ltbench.methods.blocks.patch_to_image import SLAB_BYTES, Metric, distances_to, slabs
from ltbench.methods.errors import BadParameter

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bootstrap:
    """Rule by which partial memory banks are drawn from the images of one class."""

    ratio: float = 0.1
    """Share of the images in one memory bank, rounded up to at least one image."""
    draws: int = 0
    """Number of memory banks; 0 = the exact mean over all possible draws."""
    replacement: bool = True
    """Draw images with replacement, as the authors' code does."""
    exclude_self: bool = False
    """Exclude an image from the memory banks that it is scored against."""

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise BadParameter(f"the memory's ratio is {self.ratio}: expected more than 0 and at most 1")
        if self.draws < 0:
            raise BadParameter(f"the number of memories is {self.draws}: expected 0 (exact mean) or more")

    def size(self, images: int) -> int:
        """Number of images in a memory bank drawn from `images` images."""
        # 0.1 * 30 is 3.0000000000000004 in floating point and must not round up to 4.
        return max(1, math.ceil(round(self.ratio * images, 9)))


def survival(images: int, size: int, replacement: bool) -> npt.NDArray[np.float64]:
    """Probability that `size` draws of `images` images miss c given images, c = 0 .. images: (images + 1,).

    With replacement ((n - c) / n)^m, without it C(n - c, m) / C(n, m).
    """
    left = np.arange(images, -1, -1, dtype=np.float64)
    if replacement:
        return (left / images) ** size
    # C(n - c, m) / C(n, m) as the product of (n - c - i) / (n - i) over i < m.
    drawn = np.arange(size, dtype=np.float64)
    factors = np.maximum(left[:, None] - drawn, 0) / (images - drawn)
    missed: npt.NDArray[np.float64] = factors.prod(axis=1)
    return missed


def expected_nearest(distances: torch.Tensor, strata: Indices, bootstrap: Bootstrap) -> torch.Tensor:
    """Expected distance of each query to its nearest drawn image, over all possible draws.

    With the distances in ascending order, the nearest drawn image lies beyond rank j if every stratum missed
    its images among the first j. These probabilities multiply; the weight of rank j is the decrease of their
    product from rank j - 1 to rank j.

    Args:
        distances: (Q, R) distances of Q queries to R images.
        strata: (R,) stratum of each image, e.g. its camera. Each stratum is drawn from separately, and a
            memory bank holds the draws of all strata.
        bootstrap: Rule of the draws.

    Returns:
        (Q,) float32.
    """
    ordered, order = distances.sort(dim=1)
    missed = torch.ones(len(distances), distances.shape[1] + 1, dtype=torch.float64, device=distances.device)
    groups = torch.from_numpy(strata).to(distances.device)[order]
    for stratum, images in zip(*np.unique(strata, return_counts=True), strict=True):
        table = survival(int(images), bootstrap.size(int(images)), bootstrap.replacement)
        seen = torch.nn.functional.pad((groups == int(stratum)).cumsum(dim=1), (1, 0))
        missed *= torch.from_numpy(table).to(distances.device)[seen]
    weights = missed[:, :-1] - missed[:, 1:]
    return (ordered.double() * weights).sum(dim=1).float()


def drawn_images(strata: Indices, bootstrap: Bootstrap, rng: np.random.Generator) -> Indices:
    """Draw the images of each memory bank, stratum by stratum: (draws, m) positions in `strata`."""
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    memories = [
        np.concatenate(
            [
                rng.choice(images, bootstrap.size(len(images)), replace=bootstrap.replacement)
                for images in members
            ]
        )
        for _ in range(bootstrap.draws)
    ]
    return np.stack(memories).astype(np.int64)


def sampled_nearest(distances: torch.Tensor, memories: Indices) -> torch.Tensor:
    """Average the distance to the nearest image over memory banks (B, m): (Q, R) distances -> (Q,)."""
    total = torch.zeros(len(distances), dtype=torch.float64, device=distances.device)
    for memory in torch.from_numpy(memories).to(distances.device):
        total += distances.index_select(1, memory).amin(dim=1)
    return (total / len(memories)).float()


def memory_scores(
    vectors: Rows,
    bootstrap: Bootstrap,
    rng: np.random.Generator,
    *,
    strata: Sequence[int] | Indices | None = None,
    metric: Metric = "cosine",
    device: str = "cpu",
    max_bytes: int | None = SLAB_BYTES,
    progress: Progress = no_progress,
) -> Rows:
    """Score every patch by its mean distance to partial memory banks of the same images (MeDS, eq. 5).

    Args:
        vectors: (N, P, D) patch features of N images.
        bootstrap: Rule of the draws. Unless `exclude_self` is set, an image drawn into a memory bank has
            distance 0 to it. A single image scores 0 everywhere.
        rng: Random numbers of the draws; unused for the exact mean.
        strata: (N,) stratum of each image; one stratum if None.
        metric: "cosine" or "euclidean".
        device: Device of the distance computations.
        max_bytes: Largest part of the distance table in memory; None = all of it.
        progress: Wrapper that reports progress over the blocks.

    Returns:
        (N, P) float32, larger = more anomalous.
    """
    count = len(vectors)
    groups = np.zeros(count, np.int64) if strata is None else np.asarray(strata, np.int64)
    shared = drawn_images(groups, bootstrap, rng) if bootstrap.draws and not bootstrap.exclude_self else None
    scores = np.zeros(vectors.shape[:2], np.float32)
    if count == 1:
        return scores
    for slab, table in slabs(vectors, metric=metric, device=device, max_bytes=max_bytes, progress=progress):
        for image, distances in enumerate(table, start=slab.start):
            own, among = distances, groups
            if bootstrap.exclude_self:
                others = np.delete(np.arange(count), image)
                own, among = distances[:, torch.from_numpy(others).to(distances.device)], groups[others]
            if not bootstrap.draws:
                distance = expected_nearest(own, among, bootstrap)
            else:
                memories = drawn_images(among, bootstrap, rng) if shared is None else shared
                distance = sampled_nearest(own, memories)
            scores[image] = distance.cpu().numpy()
    return scores


class MemoryEnsemble:
    """Partial memory banks of one class that score new images: phase 1 of MeDS as a detector."""

    def __init__(
        self,
        references: Rows,
        bootstrap: Bootstrap,
        rng: np.random.Generator,
        *,
        strata: Indices | None = None,
        metric: Metric = "cosine",
        device: str = "cpu",
    ) -> None:
        """Draw the memory banks from `references`, (N, P, D) patch features of the class' training images."""
        self._references, self._bootstrap, self._metric, self._device = references, bootstrap, metric, device
        self._strata = np.zeros(len(references), np.int64) if strata is None else strata
        self._memories = drawn_images(self._strata, bootstrap, rng) if bootstrap.draws else None

    def distance(self, queries: Rows) -> Rows:
        """Mean distance over the memory banks of every patch of (B, P, D): (B, P)."""
        distances = []
        for image in queries:
            table = distances_to(image[None], self._references, metric=self._metric, device=self._device)[0]
            if self._memories is None:
                distances.append(expected_nearest(table, self._strata, self._bootstrap))
            else:
                distances.append(sampled_nearest(table, self._memories))
        return torch.stack(distances).cpu().numpy()
