"""Resampled images as weights: how often each image was drawn, and which were left out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]

_MOST_LEFT_OUT = 200
"""More images than this are left out in groups: the acceleration is an average over them anyway."""
_CACHED_BYTES = 256 * 2**20


@dataclass
class Draws:
    """Stratified resamples; equal for equal numbers of images, so that all methods get the same ones."""

    resamples: int = 1000
    seed: int = 0
    _drawn: dict[tuple[int, int], Floats] = field(default_factory=dict, repr=False)

    def weights(self, labels: Bools) -> Floats:
        """(N, resamples) weights: good and defective images are drawn apart, as many as there are of each.

        So every resample has both kinds in the test set's proportion, as the metrics need.
        """
        weights = np.empty((len(labels), self.resamples), dtype=np.float32)
        for kind in (0, 1):
            weights[labels == kind] = self._of_kind(kind, int(np.sum(labels == kind)))
        return weights

    def _of_kind(self, kind: int, count: int) -> Floats:
        if (kind, count) not in self._drawn:
            if sum(drawn.nbytes for drawn in self._drawn.values()) > _CACHED_BYTES:
                self._drawn.clear()
            rng = np.random.default_rng([self.seed, kind, count])
            self._drawn[kind, count] = drawn_weights(count, self.resamples, rng).astype(np.float32)
        return self._drawn[kind, count]


def drawn_weights(count: int, resamples: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """(count, resamples): how often each of `count` things is among `count` draws with replacement."""
    drawn = (
        rng.integers(0, count, size=(count, resamples)) if count else np.empty((0, resamples), dtype=np.int64)
    )
    drawn *= resamples
    drawn += np.arange(resamples)
    return np.bincount(drawn.ravel(), minlength=count * resamples).reshape(count, resamples)


@dataclass(frozen=True)
class LeftOut:
    """Weights (N, groups) in each of whose columns one group of images is 0, and what the groups are."""

    weights: Floats
    kinds: Bools
    """(groups,): defective or good images."""
    sizes: npt.NDArray[np.int64]
    """(groups,): 1 unless there are very many images."""


def left_out(labels: Bools) -> LeftOut:
    """Weights that leave out each image once, or equal groups of images of a kind that has very many."""
    owners = np.empty(len(labels), dtype=np.int64)
    kinds, sizes = list[bool](), list[int]()
    for kind in (False, True):
        images = np.flatnonzero(labels == kind)
        groups = min(len(images), _MOST_LEFT_OUT)
        of_image = np.arange(len(images)) % max(groups, 1)
        owners[images] = len(kinds) + of_image
        kinds += [kind] * groups
        sizes += np.bincount(of_image, minlength=groups).tolist()
    weights = np.ones((len(labels), len(kinds)), dtype=np.float32)
    weights[np.arange(len(labels)), owners] = 0.0
    return LeftOut(weights, np.array(kinds, dtype=bool), np.array(sizes, dtype=np.int64))
