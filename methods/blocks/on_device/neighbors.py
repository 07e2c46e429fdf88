"""Exact nearest neighbours on a GPU: screened by products of rounded rows, decided by direct differences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.blocks.on_device import on_device
from ltbench.methods.errors import MethodsError

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

QUERIES = 4096
"""Query rows per product."""
BANK = 32_768
"""Bank rows per product: 0.5 GB with `QUERIES` queries."""
GROUP = 64
"""Consecutive bank rows whose smallest product is compared before the products themselves."""
PAIRS = 1 << 16
"""Pairs of rows subtracted at a time: for rows of 1024 numbers, both sides take 1 GB of float64."""
CROWDED = 64
"""Groups per query and product above which no rounding bound helps, and the product is taken in float64."""
EPS32 = 2.0**-24
"""Unit round-off of float32."""
EPS_SUM = 2.0**-22
"""Relative error of the sums of tensor cores, which truncate instead of rounding."""
CUT_BITS = 13
"""Mantissa bits of float32 that TF32 drops: a tensor core keeps ten."""


@dataclass(frozen=True)
class _Rounded:
    """Rows rounded to TF32, which tensor cores read without loss, and their rounding errors."""

    matrix: torch.Tensor
    error: torch.Tensor
    """float64 (N,), distance between each row and its rounded version."""
    half: torch.Tensor
    """float64 (N,), half the squared length of each rounded row."""


def _rounded(rows: torch.Tensor, mean: torch.Tensor) -> _Rounded:
    """Round centred rows (N, D) to TF32, ties to even."""
    centred = rows - mean
    bits = centred.view(torch.int32)
    even = (bits >> CUT_BITS) & 1
    matrix = ((bits + ((1 << (CUT_BITS - 1)) - 1) + even) & -(1 << CUT_BITS)).view(torch.float32)
    lost = torch.linalg.vector_norm(centred - matrix, dim=1, dtype=torch.float64)
    length = torch.linalg.vector_norm(matrix, dim=1, dtype=torch.float64)
    return _Rounded(matrix, lost * (1 + 1e-6) + 4 * EPS32 * length, length**2 / 2)


class DeviceIndex:
    """Exact nearest-neighbour search among rows (n, D) on a GPU.

    A product of rounded rows excludes a row only if it does so with certainty: the product is off by the
    rounding of its float32 sum, and a rounded row by its rounding error (triangle inequality). Direct
    differences in float64 decide among the remaining rows, as on a CPU.
    """

    def __init__(self, rows: Rows, device: str | torch.device) -> None:
        self.rows = on_device(rows, device)
        self._mean = self.rows.mean(dim=0)
        self._bank = _rounded(self.rows, self._mean)
        self._largest_error = self._bank.error.max()
        self._slack = 2 * (self.rows.shape[1] + 8) * EPS_SUM

    def search(self, queries: Rows) -> tuple[Rows, Indices]:
        """Squared distance to the nearest row, and its index, both (N,); ties: lowest index."""
        distance, index = np.empty(len(queries), np.float32), np.empty(len(queries), np.int64)
        for low in range(0, len(queries), QUERIES):
            part = slice(low, low + QUERIES)
            nearest, row = self._nearest(on_device(queries[part], self.rows.device))
            if not bool(nearest.isfinite().all()):
                bad = low + int(nearest.isfinite().int().argmin())
                raise MethodsError(f"query {bad} is not finite or too large: nearest neighbours need numbers")
            distance[part], index[part] = nearest.float().cpu().numpy(), row.cpu().numpy()
        return distance, index

    def _nearest(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nearest rows of a block of queries: screen by products, then decide by direct differences."""
        rounded = _rounded(queries, self._mean)
        lowest = queries.new_full((len(queries),), torch.inf)
        crowded = torch.zeros(len(queries), dtype=torch.bool, device=queries.device)
        candidates = []
        for first in range(0, len(self.rows), BANK):
            bank = slice(first, first + BANK)
            product = self._products(rounded.matrix, bank)
            groups = product.view(len(queries), -1, GROUP)
            smallest = groups.amin(dim=2)
            lowest = torch.minimum(lowest, smallest.amin(dim=1))
            threshold = self._threshold(lowest, rounded)
            near = smallest <= threshold[:, None]
            crowded |= near.sum(dim=1) > CROWDED
            query, group = torch.nonzero(near & ~crowded[:, None], as_tuple=True)
            pair, column = torch.nonzero(groups[query, group] <= threshold[query, None], as_tuple=True)
            query, row = query[pair], group[pair] * GROUP + column
            candidates.append((query, first + row, product[query, row]))
        query, row, value = (torch.cat(column) for column in zip(*candidates, strict=True))
        # The thresholds of earlier blocks were larger than the final one.
        kept = (value <= threshold[query]) & ~crowded[query]
        distance, index = self._decide(queries, query[kept], row[kept])
        if bool(crowded.any()):
            distance[crowded], index[crowded] = self._nearest_in_float64(queries[crowded])
        return distance, index

    def _products(self, queries: torch.Tensor, bank: slice) -> torch.Tensor:
        """Half squared distances minus half the query's square, (B, rows); infinity pads the last group."""
        rows, half = self._bank.matrix[bank], self._bank.half[bank].float()
        whole = -(-len(rows) // GROUP) * GROUP
        out = queries.new_empty(len(queries), whole)
        out[:, len(rows) :] = torch.inf
        with tensor_cores():
            torch.addmm(half, queries, rows.T, alpha=-1, out=out[:, : len(rows)])
        return out

    def _threshold(self, lowest: torch.Tensor, rounded: _Rounded) -> torch.Tensor:
        """Largest product that a nearest neighbour can have, given the smallest one so far."""
        rounding = self._slack * (rounded.half + self._bank.half.max())
        both = rounded.error + self._largest_error
        farthest = (2 * (lowest.double() + rounded.half + rounding)).clamp_min(0).sqrt() + 2 * both
        return (farthest**2 / 2 - rounded.half + rounding).float().nextafter(lowest.new_tensor(torch.inf))

    def _decide(
        self, queries: torch.Tensor, query: torch.Tensor, row: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Select the nearest candidate of each query by float64 differences; ties go to the lowest index."""
        exact = torch.cat(
            [
                (self.rows[right].double() - queries[left].double()).square_().sum(dim=1)
                for left, right in zip(query.split(PAIRS), row.split(PAIRS), strict=True)
            ]
        )
        distance = exact.new_full((len(queries),), torch.inf).scatter_reduce_(0, query, exact, "amin")
        best = exact == distance[query]
        index = torch.full_like(distance, len(self.rows), dtype=torch.int64)
        return distance, index.scatter_reduce_(0, query[best], row[best], "amin")

    def _nearest_in_float64(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nearest rows by float64 products, block by block; any of several rows equal within rounding."""
        centred = queries.double() - self._mean
        lowest = torch.full_like(centred[:, 0], torch.inf)
        index = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
        step = max(1, (1 << 27) // len(queries))
        for first, rows in enumerate(self.rows.split(step)):
            others = rows.double() - self._mean
            value, row = (others.square().sum(dim=1) / 2 - centred @ others.T).min(dim=1)
            nearer = value < lowest
            lowest = torch.where(nearer, value, lowest)
            index = torch.where(nearer, row + first * step, index)
        return (self.rows[index].double() - queries.double()).square_().sum(dim=1), index


@contextmanager
def tensor_cores() -> Iterator[None]:
    """Context in which tensor cores may multiply float32 matrices (as TF32, eleven significant bits)."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
