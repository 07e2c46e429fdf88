"""Memory banks of each class of a host's training images, and the scores that they give (MeDS, phase 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.base import Context
from ltbench.methods.blocks.bootstrap import Bootstrap, MemoryEnsemble, memory_scores
from ltbench.methods.blocks.patch_to_image import Metric
from ltbench.methods.features.cache import FeatureSpec
from ltbench.methods.reconstruction.hosting import Host

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

FIELD = "memory"


@dataclass(frozen=True)
class ClassMemories:
    """Partial memory banks, each drawn from the images of one class."""

    host: Host
    classes: Ids
    """(N,), class of each training image."""
    bootstrap: Bootstrap
    metric: Metric
    seed: int
    """Seed of the draws, if there are any."""
    cameras: Ids | None = None
    """(N,), camera of each training image, if every memory bank must hold images of every camera."""

    def scores(self, context: Context) -> Floats:
        """Mean distance (N, h, w) of every training patch to the memory banks of its own class.

        Scores that were computed before are read from the context's cache.
        """
        found: Floats | None = None
        for class_id, members, vectors in self._classes():
            scores = self._cached(class_id, members, vectors, context)
            if found is None:
                found = np.empty((len(self.classes), *scores.shape[1:]), np.float32)
            found[members] = scores
        return np.zeros((0, 1, 1), np.float32) if found is None else found

    def ensembles(self, context: Context) -> dict[int, MemoryEnsemble]:
        """Memory banks by class id, for scoring other images."""
        return {
            class_id: MemoryEnsemble(
                vectors.reshape(len(members), -1, vectors.shape[-1]),
                self.bootstrap,
                np.random.default_rng([self.seed, class_id]),
                strata=self._strata(members),
                metric=self.metric,
                device=context.device,
            )
            for class_id, members, vectors in self._classes()
        }

    def _classes(self) -> Iterator[tuple[int, Ids, Floats]]:
        """Yield each class with the indices of its training images and their patch vectors (n, h, w, D)."""
        for class_id in np.unique(self.classes).tolist():
            members = np.flatnonzero(self.classes == class_id)
            title = "embed images for memories"
            yield class_id, members, self.host.memory_vectors(torch.from_numpy(members), title=title)

    def _strata(self, members: Ids) -> Ids | None:
        """Camera of each member, or None if cameras are unknown."""
        return None if self.cameras is None else self.cameras[members]

    def _cached(self, class_id: int, members: Ids, vectors: Floats, context: Context) -> Floats:
        """Scores of one class' training patches, read from or written to the cache."""
        cache = context.cache
        keys = [self.host.images.content_digest(index) for index in members.tolist()]
        spec = self._spec(class_id, members, vectors, context)
        if cache is not None:
            stored = [features for key in keys if (features := cache.get(spec, key)) is not None]
            if len(stored) == len(keys):
                return np.stack([features[FIELD] for features in stored])
        count, rows, columns, dim = vectors.shape
        scores = memory_scores(
            vectors.reshape(count, rows * columns, dim),
            self.bootstrap,
            np.random.default_rng([self.seed, class_id]),
            strata=self._strata(members),
            metric=self.metric,
            device=context.device,
            progress=context.progress,
        )
        grids = scores.reshape(count, rows, columns)
        if cache is not None:
            for key, image in zip(keys, grids, strict=True):
                cache.put(spec, key, {FIELD: image})
        return grids

    def _spec(self, class_id: int, members: Ids, vectors: Floats, context: Context) -> FeatureSpec:
        """Cache key of the scores: a digest of the vectors and settings that they are computed from."""
        digest = hashlib.sha256(np.ascontiguousarray(vectors))
        drawn = (self.seed, class_id) if self.bootstrap.draws else ()
        strata = self._strata(members)
        facts = (
            vectors.shape,
            self.bootstrap,
            self.metric,
            drawn,
            None if strata is None else strata.tolist(),
        )
        digest.update(repr(facts).encode())
        return FeatureSpec(
            backbone="bootstrapped memory",
            backbone_digest=digest.hexdigest(),
            layers=(FIELD,),
            view=str(context.view),
            dtype="float32",
            engine=f"torch {torch.__version__} {torch.device(context.device).type}",
        )


def ensemble_grids(
    ensembles: dict[int, MemoryEnsemble], batches: Iterable[tuple[Sequence[int], Floats]], classes: Ids
) -> Floats:
    """Score images of known classes by the memory banks of their class.

    Args:
        ensembles: Memory banks by class id.
        batches: Indices of images and their patch vectors (B, h, w, D).
        classes: (N,), class of each image.

    Returns:
        Patch scores (N, h, w).
    """
    parts = []
    for indices, vectors in batches:
        for index, image in zip(indices, vectors, strict=True):
            rows = image.reshape(1, -1, image.shape[-1])
            parts.append(ensembles[int(classes[index])].distance(rows).reshape(image.shape[:2]))
    return np.stack(parts) if parts else np.zeros((0, 1, 1), np.float32)
