"""The random projection in which coresets and outlier factors are computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]


def random_projection(width: int, dim: int | None, rng: np.random.Generator) -> Rows | None:
    """(width, dim) matrix with entries uniform in ±1/sqrt(width); None, and no draw, when dim is or >= width.

    The distribution is that of a freshly made linear layer, as in the authors' code.
    """
    if dim is None or dim >= width:
        return None
    limit = 1 / np.sqrt(width)
    return rng.uniform(-limit, limit, size=(width, dim)).astype(np.float32)


def project(X: Rows, dim: int | None, rng: np.random.Generator) -> Rows:
    """X (N, D) times `random_projection`, (N, dim); X itself where there is none."""
    matrix = random_projection(X.shape[1], dim, rng)
    return X if matrix is None else X @ matrix
