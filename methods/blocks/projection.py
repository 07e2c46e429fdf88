"""Random linear projection in which coresets and outlier factors are computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.blocks.on_device import on_device

PART = 65_536
"""Rows multiplied at a time; read-only rows are copied for torch, part by part."""
Rows = npt.NDArray[np.float32]


def random_projection(width: int, dim: int | None, rng: np.random.Generator) -> Rows | None:
    """Draw a (width, dim) matrix with entries uniform in ±1/sqrt(width).

    The distribution is that of a newly initialised linear layer, as in PatchCore's code. Returns None, and
    draws nothing, if `dim` is None or at least `width`.
    """
    if dim is None or dim >= width:
        return None
    limit = 1 / np.sqrt(width)
    return rng.uniform(-limit, limit, size=(width, dim)).astype(np.float32)


def project(X: Rows, dim: int | None, rng: np.random.Generator) -> Rows:
    """Project X (N, D) by a `random_projection` to (N, dim); X itself if there is no projection."""
    matrix = random_projection(X.shape[1], dim, rng)
    return X if matrix is None else projected(X, matrix)


def projected(X: Rows, matrix: Rows) -> Rows:
    """Multiply X (N, D) by a matrix (D, d) with torch, a quarter faster than NumPy on an Intel Xeon."""
    out = torch.empty(len(X), matrix.shape[1])
    right = torch.from_numpy(matrix)
    for low in range(0, len(X), PART):
        torch.mm(on_device(X[low : low + PART], "cpu"), right, out=out[low : low + PART])
    return np.asarray(out)
