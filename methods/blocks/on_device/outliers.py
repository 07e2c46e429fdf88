"""Nearest neighbours for local outlier factors on a GPU: one matrix product per position."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.blocks.on_device import on_device

CELLS = 1 << 27
"""Products held at a time, 1 GB of float64."""
SPARE = 4
"""Candidates in addition to the k nearest by product; direct differences choose among all of them."""


def nearest_others(
    X: npt.NDArray[np.float32], k: int, device: str | torch.device
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """Find the k nearest other rows of every row at the same position.

    Args:
        X: (P, n, D), n rows at each of P positions.
        k: Number of neighbours, at most n - 1.
        device: GPU of the computation.

    Yields:
        Distances, ascending, and indices, both (p, n, k), for p positions at a time, in order.
    """
    _, n, dim = X.shape
    wide = min(k + SPARE, n - 1)
    step = max(1, CELLS // max(n * n, n * wide * dim))
    for low in range(0, len(X), step):
        rows = on_device(X[low : low + step], device).double()
        yield _nearest(rows, k, wide)


def _nearest(rows: torch.Tensor, k: int, wide: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """k nearest other rows at each position, by direct differences among the `wide` best products."""
    half = rows.square().sum(dim=2) / 2
    # Half the squared distance minus half the row's own square.
    value = torch.baddbmm(half[:, None], rows, rows.transpose(1, 2), alpha=-1)
    value.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    candidate = value.topk(wide, dim=2, largest=False).indices.sort(dim=2).values
    del value
    squared = torch.stack(
        [
            (rows - rows.gather(1, column[..., None].expand_as(rows))).square_().sum(dim=2)
            for column in candidate.unbind(dim=2)
        ],
        dim=2,
    )
    # A stable sort of ascending candidates resolves ties to the lowest index.
    squared, order = squared.sort(dim=2, stable=True)
    neighbour = candidate.gather(2, order)
    return squared[..., :k].sqrt().cpu().numpy(), neighbour[..., :k].cpu().numpy()
