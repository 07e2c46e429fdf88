"""Greedy k-centre selection: the rows of the plain farthest-point loop, without most of its arithmetic."""

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
    """How many of `count` rows a coreset keeps: int(ratio count), at least one, at most `max_bank`."""
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
    """Indices of m rows of X (N, D), in the order of selection (Roth et al. 2022, algorithm 1).

    Each step takes the row farthest from those taken; of equally far rows the lowest index; no row twice.
    Distances are Euclidean after a random linear projection to `projection` dimensions (None, or not fewer
    than D: none) and compared in float64, so that the answer is that of the plain loop in float64, whatever
    the blocking. start: "random1" takes one random row first; "mean10" and "mean128" start from each row's
    mean distance to so many random rows, which also bounds its distance from then on. mask: rows that may be
    taken (N,), all if None; the others take no part. device: a GPU projects and selects there, by the same
    random numbers. Returns fewer than m only where fewer rows may be taken. Raises MethodsError for rows that
    are not finite.
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
