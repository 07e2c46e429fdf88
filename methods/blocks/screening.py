"""Screening by low-precision products for the pairs of rows that can be nearest neighbours."""

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
"""Bank rows per product; with `QUERIES` queries the product still fits the last-level cache."""
ROWS = 128
"""Rows rounded or subtracted at a time, so that their copies stay in the second-level cache."""
EPS32 = 2.0**-24
"""Unit round-off of float32."""
EPS16 = 2.0**-8
"""Unit round-off of bfloat16."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of a query and a bank row that can be its nearest neighbour, by ascending query."""

    query: Indices
    row: Indices
    distance: npt.NDArray[np.float64]
    """Squared distance by direct differences where already computed, else NaN."""
    crowded: Indices
    """Queries without pairs because they have more candidates than the limit."""


@dataclass(frozen=True)
class _Quantised:
    """Low-precision rows, extended by columns that make a product with others half their squared distance."""

    matrix: torch.Tensor
    error: npt.NDArray[np.float64]
    """Distance between each row and its low-precision version."""
    half: npt.NDArray[np.float64]
    """Half the squared length of each low-precision row."""


def _quantised(rows: Rows, centre: Rows, dtype: torch.dtype, *, is_bank: bool) -> _Quantised:
    """Centre rows (N, D) and round them to `dtype`; queries are negated, bank rows are not."""
    count, dim = rows.shape
    # bfloat16 units multiply pairs of columns, so the width is made even.
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
    # Error of rounding to `dtype`, of summing that error, and of centring.
    error = np.sqrt(lost) * (1 + 2 * dim * EPS32) + 2 * EPS32 * np.sqrt(length)
    # |x - c|²/2 = |x|²/2 + |c|²/2 - x·c, with each half square as the sum of three low-precision numbers.
    ours, theirs = (dim, dim + 3) if is_bank else (dim + 3, dim)
    matrix[:, theirs : theirs + 3] = 1
    rest = torch.from_numpy(half)
    for column in range(ours, ours + 3):
        matrix[:, column] = rest.to(dtype)
        rest = rest - matrix[:, column].double()
    return _Quantised(matrix, error, half)


class Screen:
    """Low-precision search for the pairs that can be nearest neighbours.

    A product is half the squared distance of two quantised rows, up to the rounding of float32 sums (two
    roundings per term, one more in the half squares) and of its own storage. The distance of the original
    rows differs from that of the quantised ones by at most the two quantisation errors (triangle inequality).
    """

    def __init__(self, rows: Rows, centre: Rows, dtype: torch.dtype) -> None:
        self.rows, self.centre = rows, centre
        self.bank = _quantised(rows, centre, dtype, is_bank=True)
        self.is_coarse = dtype == torch.bfloat16
        self.storage = 1 / (1 - (EPS16 if self.is_coarse else EPS32))
        self.summation = 5 * (self.bank.matrix.shape[1] + 8) * EPS32

    def candidates(self, queries: Rows, *, limit: int | None = None) -> Candidates:
        """Find the pairs that can be nearest; queries with more than `limit` pairs are listed as crowded."""
        matrix = self.bank.matrix
        quantised = _quantised(queries, self.centre, matrix.dtype, is_bank=False)
        lowest = np.full(len(queries), np.inf)
        count = np.zeros(len(queries), np.int64)
        pairs: list[tuple[Indices, Indices, npt.NDArray]] = []
        for first in range(0, len(self.bank.half), BANK):
            product = self._product(quantised.matrix, self.bank.matrix[first : first + BANK])
            lowest = np.minimum(lowest, self._value(product.min(axis=1)))
            threshold = self._threshold(lowest, quantised)
            flat = np.flatnonzero(product <= threshold[:, None])
            query, row = np.divmod(flat, product.shape[1])
            count += np.bincount(query, minlength=len(queries))
            crowded = count > (len(self.bank.half) if limit is None else limit)
            kept = ~crowded[query]
            pairs.append((query[kept], row[kept] + first, product.ravel()[flat[kept]]))
        query, row, value = (np.concatenate(column) for column in zip(*pairs, strict=True))
        # The thresholds of earlier blocks were larger than the final one.
        kept = np.flatnonzero((value <= threshold[query]) & ~crowded[query])
        kept = kept[np.argsort(query[kept], kind="stable")]
        query, row, value = query[kept], row[kept], value[kept]
        kept, distance = self._within_reach(queries, quantised, query, row, value)
        return Candidates(query[kept], row[kept], distance[kept], np.flatnonzero(crowded))

    def _within_reach(
        self, queries: Rows, quantised: _Quantised, query: Indices, row: Indices, value: npt.NDArray
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Flag the pairs that may still be nearest once the distance of each query's best pair is exact.

        The exact distance replaces its bound, and each row's own error replaces the largest error.
        """
        order = np.lexsort((value, query))
        best = order[np.flatnonzero(np.diff(query, prepend=-1))]
        distance = np.full(len(query), np.nan)
        distance[best] = squared_distances(queries, self.rows, query[best], row[best], np.float64)
        reach = np.full(len(queries), np.inf)
        reach[query[best]] = np.sqrt(distance[best] * (1 + EPS32))
        farthest = reach[query] + quantised.error[query] + self.bank.error[row]
        summation = self.summation * (quantised.half[query] + self.bank.half[row])
        kept: npt.NDArray[np.bool_] = value <= self._stored((farthest**2 / 2 + summation) * self.storage)
        return kept, distance

    def _product(self, queries: torch.Tensor, rows: torch.Tensor) -> npt.NDArray:
        """Half squared distances; bfloat16 values as int16 of the same bits, which sort alike if positive."""
        out = self._buffer[: len(queries) * len(rows)].view(len(queries), len(rows))
        if self.is_coarse:
            torch.mm(queries, rows.T, out=out)
            return out.view(torch.int16).numpy()
        return np.matmul(queries.numpy(), rows.numpy().T, out=out.numpy())

    @cached_property
    def _buffer(self) -> torch.Tensor:
        """Buffer of the products, reused because touching new pages costs a tenth of a product's time."""
        return self.bank.matrix.new_empty(QUERIES * min(BANK, len(self.bank.half)))

    def _value(self, product: npt.NDArray) -> npt.NDArray[np.float64]:
        """Values of stored products as non-negative numbers."""
        product = np.maximum(product, 0)
        return torch.from_numpy(product).view(torch.bfloat16).double().numpy() if self.is_coarse else product

    def _threshold(self, lowest: npt.NDArray[np.float64], quantised: _Quantised) -> npt.NDArray:
        """Largest product that a nearest neighbour can have, given the smallest one so far."""
        summation = self.summation * (quantised.half + self.bank.half.max())
        both = quantised.error + self.bank.error.max()
        farthest = np.sqrt(2 * (lowest * self.storage + summation)) + both
        return self._stored(((farthest + both) ** 2 / 2 + summation) * self.storage)

    def _stored(self, largest: npt.NDArray[np.float64]) -> npt.NDArray:
        """Round `largest` up to a value in the storage format of the products."""
        if not self.is_coarse:
            return np.nextafter(largest.astype(np.float32), np.float32(np.inf))
        rounded = torch.from_numpy(largest).bfloat16()
        return rounded.view(torch.int16).numpy() + (rounded.double().numpy() < largest)


def squared_distances(queries: Rows, rows: Rows, query: Indices, row: Indices, dtype: type) -> npt.NDArray:
    """Squared distances (M,) of the pairs (queries[query], rows[row]), by direct differences in `dtype`."""
    out = np.empty(len(query), dtype)
    for low in range(0, len(query), ROWS):
        part = slice(low, low + ROWS)
        difference = queries[query[part]].astype(dtype, copy=False)
        difference -= rows[row[part]]
        out[part] = np.vecdot(difference, difference)
    return out
