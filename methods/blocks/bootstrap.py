"""Memories made of a few random images, and the mean distance to them: drawn, or exactly expected.

MeDS (Safarov et al., arXiv 2605.26676, eq. 5) averages nearest-neighbour distances over B memories of a
tenth of the images each. Over all possible draws that mean has a closed form in the order statistics of a
patch's distances to the images, so it needs no draw at all.
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
    """How partial memories are drawn from the images of one class."""

    ratio: float = 0.1
    """Share of the images in a memory, rounded up: at least one."""
    draws: int = 0
    """Memories; 0 = the exact mean over all possible ones."""
    replacement: bool = True
    """Draw images with replacement, as the authors' code does."""
    exclude_self: bool = False
    """Keep an image out of the memories that it is scored against."""

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise BadParameter(f"the memory's ratio is {self.ratio}: expected more than 0 and at most 1")
        if self.draws < 0:
            raise BadParameter(f"the number of memories is {self.draws}: expected 0 (exact mean) or more")

    def size(self, images: int) -> int:
        """Images drawn of so many."""
        # 0.1 * 30 is 3.0000000000000004 in floating point and must not round up to 4.
        return max(1, math.ceil(round(self.ratio * images, 9)))


def survival(images: int, size: int, replacement: bool) -> npt.NDArray[np.float64]:
    """Probability that `size` draws of `images` miss c given images, for c = 0 .. images: (images + 1,).

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
    """Mean over all draws of the distance to the drawn images: (Q, R) -> (Q,).

    strata: (R,) group of each image, e.g. the camera; every group is drawn from on its own and the memory
    holds all of them. With the distances in ascending order, the nearest drawn image is beyond rank j if
    every stratum missed those of its images that are among the first j: the probabilities multiply, and the
    weight of rank j is what they lose there.
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
    """Which images each memory holds: (draws, m), positions in `strata`."""
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
    """Mean over memories (B, m) of the distance to the nearest of their images: (Q, R) -> (Q,)."""
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
    """Mean distance of every patch to partial memories of the same images: (N, P, D) -> (N, P).

    The image itself counts, at distance 0, unless `bootstrap.exclude_self`; an image that is alone then has
    score 0 everywhere.
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
                found = expected_nearest(own, among, bootstrap)
            else:
                memories = drawn_images(among, bootstrap, rng) if shared is None else shared
                found = sampled_nearest(own, memories)
            scores[image] = found.cpu().numpy()
    return scores


class MemoryEnsemble:
    """Partial memories of one class, to be asked about images that are not in them: phase 1 as a detector."""

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
        """references: (N, P, D) patches of the class' training images."""
        self._references, self._bootstrap, self._metric, self._device = references, bootstrap, metric, device
        self._strata = np.zeros(len(references), np.int64) if strata is None else strata
        self._memories = drawn_images(self._strata, bootstrap, rng) if bootstrap.draws else None

    def distance(self, queries: Rows) -> Rows:
        """Mean over the memories of the distance of every patch of (B, P, D): (B, P)."""
        found = []
        for image in queries:
            table = distances_to(image[None], self._references, metric=self._metric, device=self._device)[0]
            if self._memories is None:
                found.append(expected_nearest(table, self._strata, self._bootstrap))
            else:
                found.append(sampled_nearest(table, self._memories))
        return torch.stack(found).cpu().numpy()
