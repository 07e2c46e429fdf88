"""Low-precision products that leave only the pairs of rows that can be nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

QUERIES = 1024
"""Query rows per product."""
BANK = 8192
"""Bank rows per product: with 1024 queries the product still fits the last-level cache."""
ROWS = 128
"""Rows rounded or subtracted at a time: their copies stay in the second-level cache."""
EPS32 = 2.0**-24
"""Unit round-off of float32."""
EPS16 = 2.0**-8
"""Unit round-off of bfloat16."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of a query and a row that can be its nearest neighbour, by ascending query."""

    query: Indices
    row: Indices
    distance: npt.NDArray[np.float64]
    """Squared distance by direct differences where it is known already, else NaN."""
    crowded: Indices
    """Queries left out because they have too many candidates."""


@dataclass(frozen=True)
class _Quantised:
    """Low-precision rows with added columns, so that a product with others is half their squared distance."""

    matrix: torch.Tensor
    error: npt.NDArray[np.float64]
    """Distance of each row from its low-precision self."""
    half: npt.NDArray[np.float64]
    """Half the squared length of each low-precision row."""


def _quantised(rows: Rows, centre: Rows, dtype: torch.dtype, *, is_bank: bool) -> _Quantised:
    count, dim = rows.shape
    # bfloat16 units multiply pairs
    matrix = torch.empty(count, dim + 6 + dim % 2, dtype=dtype)
    matrix[:, dim + 6 :] = 0
    lost, length = np.empty(count), np.empty(count)
    exact = torch.empty(min(ROWS, count), dim)
    back = torch.empty_like(exact)
    for low in range(0, count, ROWS):
        part = slice(low, low + ROWS)
        low_precision = matrix[part, :dim]
        here, there = exact[: len(low_precision)], back[: len(low_precision)]
        torch.sub(torch.from_numpy(rows[part]), torch.from_numpy(centre), out=here)
        low_precision.copy_(here)
        there.copy_(low_precision)
        length[part] = np.vecdot(there.numpy(), there.numpy())
        here -= there
        lost[part] = np.vecdot(here.numpy(), here.numpy())
        if not is_bank:
            low_precision.neg_()
    half = length / 2
    # What was lost to `dtype`, to the rounding of this very sum, and to centring.
    error = np.sqrt(lost) * (1 + 2 * dim * EPS32) + 2 * EPS32 * np.sqrt(length)
    # |x - c|²/2 = |x|²/2 + |c|²/2 - x·c, each half square as the sum of three numbers of the low precision.
    ours, theirs = (dim, dim + 3) if is_bank else (dim + 3, dim)
    matrix[:, theirs : theirs + 3] = 1
    rest = torch.from_numpy(half)
    for column in range(ours, ours + 3):
        matrix[:, column] = rest.to(dtype)
        rest = rest - matrix[:, column].double()
    return _Quantised(matrix, error, half)


class Screen:
    """Finds, by a low-precision product, the pairs that can be nearest neighbours.

    A product stands for half a squared distance of quantised rows: it is off by the rounding of float32
    sums (two roundings per term, one more in the half squares) and of its own storage. The distance of the
    rows themselves differs from that of the quantised ones by at most the two quantisation errors (triangle
    inequality).
    """

    def __init__(self, rows: Rows, centre: Rows, dtype: torch.dtype) -> None:
        self.rows, self.centre = rows, centre
        self.bank = _quantised(rows, centre, dtype, is_bank=True)
        self.is_coarse = dtype == torch.bfloat16
        self.storage = 1 / (1 - (EPS16 if self.is_coarse else EPS32))
        self.summation = 5 * (self.bank.matrix.shape[1] + 8) * EPS32

    def candidates(self, queries: Rows, *, limit: int | None = None) -> Candidates:
        """Pairs that can be nearest; queries with more than `limit` of them are left out."""
        matrix = self.bank.matrix
        asked = _quantised(queries, self.centre, matrix.dtype, is_bank=False)
        lowest = np.full(len(queries), np.inf)
        count = np.zeros(len(queries), np.int64)
        found: list[tuple[Indices, Indices, npt.NDArray]] = []
        for first in range(0, len(self.bank.half), BANK):
            product = self._product(asked.matrix, self.bank.matrix[first : first + BANK])
            lowest = np.minimum(lowest, self._value(product.min(axis=1)))
            threshold = self._threshold(lowest, asked)
            flat = np.flatnonzero(product <= threshold[:, None])
            query, row = np.divmod(flat, product.shape[1])
            count += np.bincount(query, minlength=len(queries))
            crowded = count > (len(self.bank.half) if limit is None else limit)
            kept = ~crowded[query]
            found.append((query[kept], row[kept] + first, product.ravel()[flat[kept]]))
        query, row, value = (np.concatenate(column) for column in zip(*found, strict=True))
        # Early blocks were judged by a threshold that has shrunk since.
        kept = np.flatnonzero((value <= threshold[query]) & ~crowded[query])
        kept = kept[np.argsort(query[kept], kind="stable")]
        query, row, value = query[kept], row[kept], value[kept]
        kept, distance = self._within_reach(queries, asked, query, row, value)
        return Candidates(query[kept], row[kept], distance[kept], np.flatnonzero(crowded))

    def _within_reach(
        self, queries: Rows, asked: _Quantised, query: Indices, row: Indices, value: npt.NDArray
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Pairs that may still be nearest, now that the distance of each query's best pair is computed.

        That distance takes the place of a bound on it, and each row's error that of the largest error.
        """
        order = np.lexsort((value, query))
        best = order[np.flatnonzero(np.diff(query, prepend=-1))]
        distance = np.full(len(query), np.nan)
        distance[best] = squared_distances(queries, self.rows, query[best], row[best], np.float64)
        reach = np.full(len(queries), np.inf)
        reach[query[best]] = np.sqrt(distance[best] * (1 + EPS32))
        farthest = reach[query] + asked.error[query] + self.bank.error[row]
        summation = self.summation * (asked.half[query] + self.bank.half[row])
        kept: npt.NDArray[np.bool_] = value <= self._stored((farthest**2 / 2 + summation) * self.storage)
        return kept, distance

    def _product(self, queries: torch.Tensor, rows: torch.Tensor) -> npt.NDArray:
        """Half squared distances; bfloat16 ones as int16 of the same bits: same order from zero up."""
        out = self._buffer[: len(queries) * len(rows)].view(len(queries), len(rows))
        if self.is_coarse:
            torch.mm(queries, rows.T, out=out)
            return out.view(torch.int16).numpy()
        return np.matmul(queries.numpy(), rows.numpy().T, out=out.numpy())

    @cached_property
    def _buffer(self) -> torch.Tensor:
        """Reused: touching fresh pages costs as much as a tenth of the product."""
        return self.bank.matrix.new_empty(QUERIES * min(BANK, len(self.bank.half)))

    def _value(self, product: npt.NDArray) -> npt.NDArray[np.float64]:
        product = np.maximum(product, 0)
        return torch.from_numpy(product).view(torch.bfloat16).double().numpy() if self.is_coarse else product

    def _threshold(self, lowest: npt.NDArray[np.float64], asked: _Quantised) -> npt.NDArray:
        """Largest product that a nearest neighbour can have, given the smallest seen."""
        summation = self.summation * (asked.half + self.bank.half.max())
        both = asked.error + self.bank.error.max()
        farthest = np.sqrt(2 * (lowest * self.storage + summation)) + both
        return self._stored(((farthest + both) ** 2 / 2 + summation) * self.storage)

    def _stored(self, largest: npt.NDArray[np.float64]) -> npt.NDArray:
        """Not below `largest`, as products are stored."""
        if not self.is_coarse:
            return np.nextafter(largest.astype(np.float32), np.float32(np.inf))
        rounded = torch.from_numpy(largest).bfloat16()
        return rounded.view(torch.int16).numpy() + (rounded.double().numpy() < largest)


def squared_distances(queries: Rows, rows: Rows, query: Indices, row: Indices, dtype: type) -> npt.NDArray:
    """Squared distances of pairs (query, row), (M,), by direct differences in `dtype`."""
    out = np.empty(len(query), dtype)
    for low in range(0, len(query), ROWS):
        part = slice(low, low + ROWS)
        difference = queries[query[part]].astype(dtype, copy=False)
        difference -= rows[row[part]]
        out[part] = np.vecdot(difference, difference)
    return out
