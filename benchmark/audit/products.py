"""Products found among images by their global embeddings alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ltbench.methods.blocks.tails import cosine_similarity
from ltbench.methods.errors import MethodsError

LEAST_DISTANCE = 0.3
"""Mean cosine distance below which two groups are always one product.

Chosen on `timm:tf_efficientnet_lite0`: groups of one product merge below it, also casting and printed boards.
"""
MOST_IMAGES = 10_000
"""A table of distances between more images than this takes gigabytes."""


def products_of(embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Number the products that images show, the largest first.

    Average-linkage clustering of cosine distances, cut where two merges are farthest apart in height. No cut
    lies below `LEAST_DISTANCE`, so that images which are all alike are one product.

    Args:
        embeddings: Global embedding of each image, (N, D).

    Returns:
        Product of each image, (N,), from 0.

    Raises:
        MethodsError: There are more than `MOST_IMAGES` images.
    """
    count = len(embeddings)
    if count > MOST_IMAGES:
        raise MethodsError(
            f"products are estimated for at most {MOST_IMAGES} images, got {count}: put each product into a "
            "folder of its own, or examine a part of the images"
        )
    if count < 2:
        return np.zeros(count, np.int64)
    distances = np.clip(1 - cosine_similarity(embeddings), 0, None)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    heights = np.concatenate([[LEAST_DISTANCE], tree[tree[:, 2] > LEAST_DISTANCE, 2]])
    if len(heights) == 1:
        return np.zeros(count, np.int64)
    lower = int(np.diff(heights).argmax())
    labels = fcluster(tree, (heights[lower] + heights[lower + 1]) / 2, "distance")
    return _largest_first(labels)


def _largest_first(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Number labels by how often they occur; of equally frequent ones, the one that occurs first."""
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.lexsort((first, -counts))] = np.arange(len(counts))
    return rank[inverse]
