"""Exact nearest neighbours under squared L2: screened in low precision, decided by direct distances."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from methods.errors import BadParameter, MethodsError

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Backend = Literal["auto", "bfloat16", "float32", "faiss"]

QUERIES = 1024
"""Query rows per product."""
BANK = 8192
"""Bank rows per product: with 1024 queries the product still fits the last-level cache."""
CROWDED = 1 / 100
"""Share of the bank above which recomputing a query's candidates costs more than a float32 screen."""
EPS32 = 2.0**-24
"""Unit round-off of float32."""
EPS16 = 2.0**-8
"""Unit round-off of bfloat16."""


def nearest(
    queries: Rows, bank: Rows, *, backend: Backend = "auto", device: str = "cpu"
) -> tuple[Rows, Indices]:
    """Squared distance to the nearest row of the bank and its index, both (N,). See ExactIndex."""
    distance, index = ExactIndex(bank, backend=backend, device=device).search(queries)
    return distance[:, 0], index[:, 0]


class ExactIndex:
    """Rows (n, D) that can be asked for the nearest ones to a query.

    backend: "bfloat16" and "float32" screen with a blocked matrix product of that precision, keep every row
    that a rigorous rounding bound does not exclude, and decide by direct differences in float64; "faiss" is
    IndexFlatL2 with its answers recomputed. "auto" takes bfloat16 where the processor multiplies it
    natively, else float32. The answer does not depend on the backend, apart from faiss' choice among rows
    equally near within float32.

    Measured on one core with AVX-512 and bfloat16 units, CPU time of faiss over ours: bfloat16 1.3 (1600
    rows) to 1.8 (16 to 64 thousand rows) for D = 1024, 1.5 for D = 225, 3 for D = 33; down to 1.1 where
    clusters are tight against their distance from the mean. float32: 0.75-0.95 for D = 225 and 1024, 2 for
    D = 33.
    """

    def __init__(self, rows: Rows, *, backend: Backend = "auto", device: str = "cpu") -> None:
        if backend not in ("auto", "bfloat16", "float32", "faiss"):
            raise BadParameter(
                f"unknown backend '{backend}' for neighbours: expected auto, bfloat16, float32 or faiss"
            )
        if not len(rows):
            raise MethodsError("the memory bank is empty: nearest neighbours need at least one row")
        self.rows = np.ascontiguousarray(rows, np.float32)
        self.device = device
        self.backend = (
            backend if backend != "auto" else "bfloat16" if has_native_bfloat16(device) else "float32"
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def megabytes(self) -> float:
        return self.rows.nbytes / 1e6

    def search(self, queries: Rows, k: int = 1) -> tuple[Rows, Indices]:
        """Squared distances and indices of the k nearest rows, both (N, k), ascending; ties: lowest index.

        k is clipped to the number of rows. More than one neighbour is faiss' task.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.shape[1:] != self.rows.shape[1:]:
            raise MethodsError(
                f"queries have {queries.shape[1:]} values, the memory bank {self.rows.shape[1:]}"
            )
        k = min(k, len(self.rows))
        if k > 1 or self.backend == "faiss":
            return self._search_faiss(queries, k)
        distance, index = np.empty((len(queries), 1), np.float32), np.empty((len(queries), 1), np.int64)
        for low in range(0, len(queries), QUERIES):
            part = slice(low, low + QUERIES)
            distance[part, 0], index[part, 0] = self._nearest(queries[part])
        return distance, index

    def _nearest(self, queries: Rows) -> tuple[npt.NDArray[np.float64], Indices]:
        centred = queries - self._mean
        if self.backend == "float32":
            query, row, _ = self._fine.candidates(centred)
            return _decide(queries, self.rows, query, row)
        query, row, crowded = self._coarse.candidates(centred, limit=max(16, int(CROWDED * len(self.rows))))
        if len(crowded):
            finer, more, _ = self._fine.candidates(centred[crowded])
            query, row = np.concatenate([query, crowded[finer]]), np.concatenate([row, more])
            order = np.argsort(query, kind="stable")
            query, row = query[order], row[order]
        return _decide(queries, self.rows, query, row)

    @cached_property
    def _mean(self) -> Rows:
        """Subtracted from everything that is screened: less cancellation, tighter bounds."""
        return self.rows.mean(axis=0, dtype=np.float64).astype(np.float32)

    @cached_property
    def _coarse(self) -> _Screen:
        return _Screen(_quantised(self.rows - self._mean, torch.bfloat16, self.device, is_bank=True))

    @cached_property
    def _fine(self) -> _Screen:
        return _Screen(_quantised(self.rows - self._mean, torch.float32, self.device, is_bank=True))

    @cached_property
    def _flat(self):
        import faiss

        index = faiss.IndexFlatL2(self.rows.shape[1])
        index.add(self.rows)
        return index

    def _search_faiss(self, queries: Rows, k: int) -> tuple[Rows, Indices]:
        wide = min(k + 4, len(self.rows))
        _, index = self._flat.search(queries, wide)
        index = np.sort(index.astype(np.int64), axis=1)
        distance = np.empty((len(queries), wide))
        for low in range(0, len(queries), QUERIES):
            part = slice(low, low + QUERIES)
            difference = self.rows[index[part]].astype(np.float64)
            difference -= queries[part, None]
            distance[part] = np.einsum("ikj,ikj->ik", difference, difference)
        order = np.argsort(distance, axis=1, kind="stable")[:, :k]
        return (
            np.take_along_axis(distance, order, 1).astype(np.float32),
            np.take_along_axis(index, order, 1),
        )


def has_native_bfloat16(device: str = "cpu") -> bool:
    """Whether this processor multiplies bfloat16 matrices with float32 sums faster than float32 ones.

    False on accelerators: their libraries may sum in bfloat16, which no rounding bound survives.
    """
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    native = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return device == "cpu" and bool(native) and torch.backends.mkldnn.is_available()


@dataclass(frozen=True)
class _Quantised:
    """Low-precision rows with added columns, so that a product with others is half their squared distance."""

    matrix: torch.Tensor
    error: npt.NDArray[np.float64]
    """Distance of each row from its low-precision self."""
    half: npt.NDArray[np.float64]
    """Half the squared length of each low-precision row."""


def _quantised(rows: Rows, dtype: torch.dtype, device: str, *, is_bank: bool) -> _Quantised:
    exact = torch.from_numpy(rows)
    low = exact.to(dtype)
    back = low.to(torch.float32)
    half = back.square().sum(1).double() / 2
    # What was lost to `dtype`, to the rounding of this very sum, and to centring.
    slack = 1 + 2 * rows.shape[1] * EPS32
    error = (exact - back).square().sum(1).double().sqrt() * slack + 2 * EPS32 * (2 * half).sqrt()
    # |x - c|²/2 = |x|²/2 + |c|²/2 - x·c, each half square as the sum of three numbers of the low precision.
    parts, rest = [], half
    for _ in range(3):
        parts.append(rest.to(dtype))
        rest = rest - parts[-1].double()
    squares, ones = torch.stack(parts, dim=1), torch.ones(len(rows), 3, dtype=dtype)
    columns = [low, squares, ones] if is_bank else [-low, ones, squares]
    if low.shape[1] % 2:  # bfloat16 units multiply pairs
        columns.append(torch.zeros(len(rows), 1, dtype=dtype))
    return _Quantised(torch.cat(columns, dim=1).to(device), error.numpy(), half.numpy())


class _Screen:
    """Finds, by a low-precision product, the pairs that can be nearest neighbours.

    A product stands for half a squared distance of quantised rows: it is off by the rounding of float32
    sums (two roundings per term, one more in the half squares) and of its own storage. The distance of the
    rows themselves differs from that of the quantised ones by at most the two quantisation errors (triangle
    inequality).
    """

    def __init__(self, bank: _Quantised) -> None:
        self.bank = bank
        self.is_coarse = bank.matrix.dtype == torch.bfloat16
        self.storage = 1 / (1 - (EPS16 if self.is_coarse else EPS32))
        self.summation = 5 * (bank.matrix.shape[1] + 8) * EPS32

    def candidates(self, queries: Rows, *, limit: int | None = None) -> tuple[Indices, Indices, Indices]:
        """Pairs (query, row) by ascending query, and the queries left out for more than `limit` pairs."""
        asked = _quantised(queries, self.bank.matrix.dtype, str(self.bank.matrix.device), is_bank=False)
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
        return query[kept], row[kept], np.flatnonzero(crowded)

    def _product(self, queries: torch.Tensor, rows: torch.Tensor) -> npt.NDArray:
        """Half squared distances; bfloat16 ones as int16 of the same bits: same order from zero up."""
        out = self._buffer[: len(queries) * len(rows)].view(len(queries), len(rows))
        if self.is_coarse or queries.device.type != "cpu":
            torch.mm(queries, rows.T, out=out)
            return out.view(torch.int16).numpy() if self.is_coarse else out.cpu().numpy()
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
        largest = ((farthest + both) ** 2 / 2 + summation) * self.storage
        if not self.is_coarse:
            return np.nextafter(largest.astype(np.float32), np.float32(np.inf))
        rounded = torch.from_numpy(largest).bfloat16()
        return rounded.view(torch.int16).numpy() + (rounded.double().numpy() < largest)


def _decide(
    queries: Rows, rows: Rows, query: Indices, row: Indices
) -> tuple[npt.NDArray[np.float64], Indices]:
    """The nearest of the candidate pairs of every query (grouped, ascending), by direct differences."""
    rough = _squared(queries, rows, query, row, np.float32)
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    best = np.minimum.reduceat(rough, starts)
    close = rough <= best[query] * (1 + 4 * (rows.shape[1] + 8) * EPS32)
    query, row = query[close], row[close]
    exact = _squared(queries, rows, query, row, np.float64)
    order = np.lexsort((row, exact, query))
    winners = order[np.flatnonzero(np.diff(query[order], prepend=-1))]
    return exact[winners], row[winners]


def _squared(queries: Rows, rows: Rows, query: Indices, row: Indices, dtype: type) -> npt.NDArray:
    out = np.empty(len(query), dtype)
    for low in range(0, len(query), 256):
        part = slice(low, low + 256)
        difference = queries[query[part]].astype(dtype, copy=False)
        difference -= rows[row[part]]
        out[part] = np.einsum("ij,ij->i", difference, difference)
    return out
