"""Suspicion of each training image: its distance to other images of its product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import Progress
from ltbench.methods.blocks.bootstrap import Bootstrap, MemoryEnsemble, memory_scores
from ltbench.methods.blocks.progressive import robust_maximum

Floats = npt.NDArray[np.float32]

MEMORY = Bootstrap(ratio=0.3, exclude_self=True)
"""Exact mean over memories of 30 % of the product's other images: a defect is rarely near another one."""
TOP_PERCENT = 2.0
"""An image's score is the mean of so many per cent of its patches, the farthest ones."""
MOST_REFERENCES = 300
"""Images of a product that others are compared with, drawn at random where there are more."""
FEWEST = 8
"""Fewer images of a product do not show what is usual, so that no number of defects is estimated."""


@dataclass(frozen=True)
class Suspicion:
    """Scores and patch grids that rate how unusual the images of one product are."""

    scores: Floats
    """(N,), larger = more suspicious; 0 for an image that is alone."""
    grids: Floats
    """(N, h, w): distance of each patch."""


def suspicion_of(vectors: Floats, rng: np.random.Generator, progress: Progress) -> Suspicion:
    """Score the images of one product by their patches' distances to other images of it.

    The memory scores of MeDS' phase 1 (Safarov et al., arXiv 2605.26676, eq. 5 and 13) with the image itself
    left out; nothing is trained.

    Args:
        vectors: Patch vectors, (N, h, w, D).
        rng: Draws the references where there are more than `MOST_REFERENCES` images.
        progress: Shows the progress.
    """
    count, height, width, dim = vectors.shape
    rows = vectors.reshape(count, height * width, dim)
    grids = np.empty((count, height * width), np.float32)
    references = np.sort(rng.permutation(count)[:MOST_REFERENCES])
    grids[references] = memory_scores(rows[references], MEMORY, rng, metric="euclidean", progress=progress)
    others = np.setdiff1d(np.arange(count), references)
    if len(others):
        ensemble = MemoryEnsemble(rows[references], MEMORY, rng, metric="euclidean")
        for index in progress(others.tolist(), "compare further images", len(others)):
            grids[index] = ensemble.distance(rows[index : index + 1])[0]
    return Suspicion(
        robust_maximum(grids, TOP_PERCENT).astype(np.float32), grids.reshape(count, height, width)
    )


def probable_defects(scores: npt.NDArray[np.floating]) -> int | None:
    """Estimate how many images of one product are defective, from their scores alone.

    Scores of good images are taken as symmetric around their median. The estimate is the largest excess of
    images above the median by some amount over images below it by the same amount.

    Returns:
        The number; None with fewer than `FEWEST` images.
    """
    if len(scores) < FEWEST:
        return None
    offsets = np.asarray(scores, np.float64) - np.median(scores)
    above, below = np.sort(offsets[offsets > 0]), np.sort(-offsets[offsets < 0])
    amounts = np.concatenate([[0.0], above, below])
    excess = (len(above) - np.searchsorted(above, amounts, "right")) - (
        len(below) - np.searchsorted(below, amounts, "right")
    )
    return max(0, int(excess.max()))
