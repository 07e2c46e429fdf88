"""Greedy k-centre coreset: the same rows as the plain farthest-point loop, with far less arithmetic."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ltbench.methods.blocks.lazy_greedy import LazyGreedy
from ltbench.methods.blocks.on_device import is_gpu
from ltbench.methods.blocks.on_device.coreset import DeviceGreedy, uploaded
from ltbench.methods.blocks.projection import projected, random_projection
from ltbench.methods.errors import BadParameter, MethodsError

Start = Literal["mean10", "mean128", "random1"]
Rows = npt.NDArray[np.float32]


def coreset_size(count: int, ratio: float, max_bank: int | None = None) -> int:
    """Size of the coreset of `count` rows: int(ratio * count), at least one, at most `max_bank`.

    Raises BadParameter for a ratio outside (0, 1] or a `max_bank` below 1.

    >>> coreset_size(1000, 0.1), coreset_size(1000, 0.1, max_bank=50), coreset_size(3, 0.1)
    (100, 50, 1)
    """
    if not 0 < ratio <= 1:
        raise BadParameter(f"coreset ratio is {ratio}: expected a number above 0 and at most 1")
    if max_bank is not None and max_bank < 1:
        raise BadParameter(f"max_bank is {max_bank}: expected at least 1, or none for no limit")
    size = min(count, max(1, int(ratio * count)))
    return size if max_bank is None else min(size, max_bank)


def kcenter(
    X: Rows,
    m: int,
    *,
    rng: np.random.Generator,
    start: Start = "mean10",
    mask: npt.NDArray[np.bool_] | None = None,
    projection: int | None = 128,
    device: str = "cpu",
) -> npt.NDArray[np.int64]:
    """Select m rows by greedy k-centre (PatchCore, Roth et al. 2022, algorithm 1).

    Each step takes the row farthest from the rows taken so far; ties go to the lowest index. Distances are
    compared in float64, so the selection equals that of the plain loop in float64.

    Args:
        X: (N, D) rows.
        m: Number of rows to select.
        rng: Random numbers of the projection and of the start.
        start: "random1" takes one random row first. "mean10" and "mean128" initialise each row's distance
            with its mean distance to 10 or 128 random rows, which remains an upper bound from then on.
        mask: (N,) rows that may be selected; all if None. Other rows are ignored.
        projection: Dimensions of the random linear projection in which distances are Euclidean; no
            projection if None or at least D.
        device: On a GPU, projection and selection run there with the same random numbers.

    Returns:
        Indices of the rows in the order of selection, fewer than m only if the mask allows fewer.

    Raises:
        BadParameter: For an unknown start.
        MethodsError: For a row that is not finite.
    """
    if start not in get_args(Start):
        raise BadParameter(
            f"unknown start '{start}' of the coreset: expected one of {', '.join(get_args(Start))}"
        )
    allowed = np.arange(len(X)) if mask is None else np.flatnonzero(mask)
    m = min(m, len(allowed))
    if m < 1:
        return np.empty(0, np.int64)
    matrix = random_projection(X.shape[1], projection, rng)
    greedy: LazyGreedy | DeviceGreedy
    if is_gpu(device):
        greedy = DeviceGreedy(uploaded(X, allowed, matrix, device))
    else:
        rows = X if matrix is None else projected(X, matrix)
        greedy = LazyGreedy(np.ascontiguousarray(rows if mask is None else rows[allowed], np.float32))
    finite = greedy.finite
    if not finite.all():
        index = allowed[finite.argmin()]
        raise MethodsError(f"row {index} of {len(X)} is not finite or too large: a coreset needs numbers")
    if start == "random1":
        return allowed[greedy.select(m, first=int(rng.integers(len(allowed))))]
    count = int(start.removeprefix("mean"))
    anchors = rng.choice(len(allowed), size=min(count, len(allowed)), replace=False)
    return allowed[greedy.select(m, anchors=anchors)]
