"""Distances of every patch to every image, from which any memory bank of whole images can be scored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.base import Progress, no_progress
from ltbench.methods.errors import BadParameter, MethodsError

Rows = npt.NDArray[np.float32]
Metric = Literal["cosine", "euclidean"]

CPU_CELLS = 1 << 22
"""Similarities per product on a CPU, few enough to be reduced while they are in its cache."""
ACCELERATOR_CELLS = 1 << 28
"""Similarities per product on an accelerator: 1 GB, for few kernel launches."""
SLAB_BYTES = 4 << 30
"""Largest part of a distance table in memory at once, in bytes."""


def patch_to_image(vectors: Rows, *, metric: Metric = "cosine", device: str = "cpu") -> torch.Tensor:
    """Distance of each patch of (N, P, D) to the nearest patch of each image: float32 (N, P, N)."""
    return next(slabs(vectors, metric=metric, device=device, max_bytes=None))[1]


def slabs(
    vectors: Rows,
    *,
    metric: Metric = "cosine",
    device: str = "cpu",
    max_bytes: int | None = SLAB_BYTES,
    progress: Progress = no_progress,
    title: str = "distances between images",
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Compute the table of patch-to-image distances in slabs of whole images.

    A memory bank made of any subset of the images is a minimum over columns of the table, so further memory
    banks cost no further product. Within a slab, one product of two images serves both directions: a table
    that fits `max_bytes` costs N (N + 1) P^2 D operations instead of twice as many.

    Args:
        vectors: (N, P, D) patch features.
        metric: "cosine" = 1 - cosine similarity, "euclidean" = unsquared distance.
        device: Device of the products and of the slabs.
        max_bytes: Largest size of a slab; None = no limit.
        progress: Wrapper that reports progress over the products.
        title: Title of the progress report.

    Yields:
        Images of the slab as a slice, and their float32 (n, P, N) distances; an image is at distance exactly
        0 from its own patches.

    Raises:
        MethodsError: Without an image.
        BadParameter: For an unknown metric.
    """
    count, patches, _ = vectors.shape
    if count == 0:
        raise MethodsError("the training set is empty: distances between images need at least one")
    rows, half = _prepared(vectors, metric, device)
    block = images_per_block(patches, device)
    fitting = count if max_bytes is None else max_bytes // (4 * patches * count)
    # Whole blocks, so that a slab's own pairs are known by their starts.
    size = max(block, fitting // block * block) if fitting < count else count
    jobs = _jobs(count, block, size)
    table: torch.Tensor | None = None
    for slab, near, far, is_last in progress(jobs, title, len(jobs)):
        if table is None:
            table = torch.empty(slab.stop - slab.start, patches, count, device=device)
        similarity = _similarity(rows, half, near, far)
        shifted = slice(near.start - slab.start, near.stop - slab.start)
        table[shifted, :, far] = _distance(similarity.amax(dim=3), metric)
        if slab.start <= far.start < slab.stop and far != near:
            mirrored = slice(far.start - slab.start, far.stop - slab.start)
            table[mirrored, :, near] = _distance(similarity.amax(dim=1).permute(1, 2, 0), metric)
        if is_last:
            own = torch.arange(slab.start, slab.stop, device=device)
            table[own - slab.start, :, own] = 0.0
            yield slab, table
            table = None


def images_per_block(patches: int, device: str) -> int:
    """Number of images that are multiplied with equally many others at a time."""
    cells = CPU_CELLS if device == "cpu" else ACCELERATOR_CELLS
    return max(1, int(cells**0.5 / patches))


def _jobs(count: int, block: int, size: int) -> list[tuple[slice, slice, slice, bool]]:
    """List the products: slab, near block, far block, and whether the product completes the slab.

    Each pair of blocks inside a slab appears once.
    """
    jobs = []
    for low in range(0, count, size):
        slab = slice(low, min(low + size, count))
        starts = [
            (near, far)
            for near in range(slab.start, slab.stop, block)
            for far in range(0, count, block)
            if not slab.start <= far < near
        ]
        for near, far in starts:
            ends = (near, far) == starts[-1]
            jobs.append(
                (slab, slice(near, min(near + block, slab.stop)), slice(far, min(far + block, count)), ends)
            )
    return jobs


def _prepared(vectors: Rows, metric: Metric, device: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Normalise or centre rows (N, P, D) for the products; half their squared lengths, None for "cosine"."""
    if metric not in ("cosine", "euclidean"):
        raise BadParameter(f"unknown metric '{metric}' of a memory: expected 'cosine' or 'euclidean'")
    rows = torch.from_numpy(np.ascontiguousarray(vectors, np.float32)).to(device)
    if metric == "cosine":
        return torch.nn.functional.normalize(rows, dim=2, eps=1e-8), None
    # Centring reduces cancellation in |a|^2 + |b|^2 - 2ab.
    rows = rows - rows.mean(dim=(0, 1))
    return rows, rows.square().sum(dim=2) / 2


def _similarity(rows: torch.Tensor, half: torch.Tensor | None, near: slice, far: slice) -> torch.Tensor:
    """Similarity (a, P, b, P): cosine, or minus half the squared distance; larger = nearer."""
    left, right = rows[near].flatten(0, 1), rows[far].flatten(0, 1)
    if half is not None:
        ones = left.new_ones(1, 1)
        left = torch.cat([left, -half[near].reshape(-1, 1), ones.expand(len(left), 1)], dim=1)
        right = torch.cat([right, ones.expand(len(right), 1), -half[far].reshape(-1, 1)], dim=1)
    patches = rows.shape[1]
    return (left @ right.T).view(near.stop - near.start, patches, far.stop - far.start, patches)


def _distance(similarity: torch.Tensor, metric: Metric) -> torch.Tensor:
    """Convert similarities to distances of the metric."""
    if metric == "cosine":
        return (1 - similarity).clamp_min(0)
    return (-2 * similarity).clamp_min(0).sqrt()


def distances_to(
    queries: Rows, references: Rows, *, metric: Metric = "cosine", device: str = "cpu"
) -> torch.Tensor:
    """Distance of each patch of `queries` (B, P, D) to each image of `references` (N, P, D): (B, P, N)."""
    both = np.concatenate([queries, references])
    rows, half = _prepared(both, metric, device)
    table = torch.empty(len(queries), queries.shape[1], len(references), device=device)
    block = images_per_block(queries.shape[1], device)
    for first in range(0, len(queries), block):
        near = slice(first, min(first + block, len(queries)))
        for start in range(0, len(references), block):
            stop = min(start + block, len(references))
            far = slice(len(queries) + start, len(queries) + stop)
            table[near, :, start:stop] = _distance(_similarity(rows, half, near, far).amax(dim=3), metric)
    return table
