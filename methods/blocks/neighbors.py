"""Exact nearest neighbours under squared L2: screened in low precision, decided by direct differences."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.base import Context
from ltbench.methods.blocks.on_device import is_gpu
from ltbench.methods.blocks.on_device.neighbors import DeviceIndex
from ltbench.methods.blocks.screening import EPS32, QUERIES, ROWS, Screen, squared_distances
from ltbench.methods.errors import BadParameter, MethodsError

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Backend = Literal["auto", "bfloat16", "float32", "faiss"]

CROWDED = 1 / 100
"""Share of the bank above which recomputing a query's candidates costs more than a float32 screen."""
MANY = 3
"""Candidates per query above which float32 differences precede those in float64."""


def nearest(
    queries: Rows, bank: Rows, *, backend: Backend = "auto", device: str = "cpu"
) -> tuple[Rows, Indices]:
    """Squared distance of queries (N, D) to the nearest row of a bank (n, D), and its index, both (N,).

    Args:
        queries: (N, D) rows.
        bank: (n, D) rows to search.
        backend: Search method, see `ExactIndex`.
        device: Device of the search.
    """
    distance, index = ExactIndex(bank, backend=backend, device=device).search(queries)
    return distance[:, 0], index[:, 0]


class ExactIndex:
    """Exact nearest-neighbour search among rows (n, D).

    The backends "bfloat16" and "float32" screen with a blocked matrix product of that precision, keep every
    row that a rigorous rounding bound does not exclude, and decide by direct differences in float64. "faiss"
    is IndexFlatL2 with recomputed distances. "auto" uses bfloat16 if the processor multiplies it natively,
    else float32; on a GPU `device` it searches there, for one neighbour. The result does not depend on the
    backend, except that faiss may choose differently among rows that are equally near within float32.

    Measured with D = 1024 on one core that multiplies bfloat16 twice as fast as float32 (Zen 4), CPU time of
    faiss over ours: bfloat16 1.4 (1600 rows) and 1.9 (16 thousand rows); float32 0.85 to 0.95, since both
    sides are then a product at the processor's float32 limit.
    """

    def __init__(self, rows: Rows, *, backend: Backend = "auto", device: str = "cpu") -> None:
        if backend not in ("auto", "bfloat16", "float32", "faiss"):
            raise BadParameter(
                f"unknown backend '{backend}' for neighbours: expected auto, bfloat16, float32 or faiss"
            )
        if not len(rows):
            raise MethodsError("the memory bank is empty: nearest neighbours need at least one row")
        self.rows = np.ascontiguousarray(rows, np.float32)
        self.backend = backend if backend != "auto" else "bfloat16" if has_native_bfloat16() else "float32"
        self._on_device = DeviceIndex(self.rows, device) if is_gpu(device) and backend == "auto" else None

    def state(self) -> dict[str, Any]:
        """State to store: the rows alone, since device and library are chosen on restoring."""
        return {"rows": self.rows}

    @classmethod
    def restored(cls, state: Mapping[str, Any], context: Context) -> ExactIndex:
        """Restore an index from its state, on the context's device."""
        return cls(state["rows"], device=context.device)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def megabytes(self) -> float:
        """Size of the rows in MB."""
        return self.rows.nbytes / 1e6

    def search(self, queries: Rows, k: int = 1) -> tuple[Rows, Indices]:
        """Find the k nearest rows of each query (N, D).

        faiss searches for more than one neighbour. k is clipped to the number of rows.

        Returns:
            Squared distances, ascending, and indices, both (N, k); ties go to the lowest index.

        Raises:
            MethodsError: For queries of another width than the rows.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.shape[1:] != self.rows.shape[1:]:
            raise MethodsError(
                f"queries have {queries.shape[1:]} values, the memory bank {self.rows.shape[1:]}"
            )
        k = min(k, len(self.rows))
        if k == 1 and self._on_device is not None:
            nearest, row = self._on_device.search(queries)
            return nearest[:, None], row[:, None]
        if k > 1 or self.backend == "faiss":
            return self._search_faiss(queries, k)
        distance, index = np.empty((len(queries), 1), np.float32), np.empty((len(queries), 1), np.int64)
        for low in range(0, len(queries), QUERIES):
            part = slice(low, low + QUERIES)
            distance[part, 0], index[part, 0] = self._nearest(queries[part])
        return distance, index

    def _nearest(self, queries: Rows) -> tuple[npt.NDArray[np.float64], Indices]:
        """Nearest rows of a block of queries; float32 screens where bfloat16 leaves too many candidates."""
        if self.backend == "float32":
            pairs = self._fine.candidates(queries)
            return _decide(queries, self.rows, pairs.query, pairs.row, pairs.distance)
        pairs = self._coarse.candidates(queries, limit=max(16, int(CROWDED * len(self.rows))))
        query, row, distance = pairs.query, pairs.row, pairs.distance
        if len(pairs.crowded):
            finer = self._fine.candidates(queries[pairs.crowded])
            query = np.concatenate([query, pairs.crowded[finer.query]])
            row = np.concatenate([row, finer.row])
            distance = np.concatenate([distance, finer.distance])
            order = np.argsort(query, kind="stable")
            query, row, distance = query[order], row[order], distance[order]
        return _decide(queries, self.rows, query, row, distance)

    @cached_property
    def _mean(self) -> Rows:
        """Mean row, subtracted before screening: less cancellation, tighter bounds."""
        starts = range(0, len(self.rows), ROWS)
        total = sum(self.rows[low : low + ROWS].sum(axis=0).astype(np.float64) for low in starts)
        mean: Rows = (total / len(self.rows)).astype(np.float32)
        return mean

    @cached_property
    def _coarse(self) -> Screen:
        """Screen of bfloat16 products."""
        return Screen(self.rows, self._mean, torch.bfloat16)

    @cached_property
    def _fine(self) -> Screen:
        """Screen of float32 products."""
        return Screen(self.rows, self._mean, torch.float32)

    @cached_property
    def _flat(self):
        """faiss' exact index of the rows."""
        import faiss

        index = faiss.IndexFlatL2(self.rows.shape[1])
        index.add(self.rows)
        return index

    def _search_faiss(self, queries: Rows, k: int) -> tuple[Rows, Indices]:
        """Search by faiss for a few more than k candidates and decide by direct differences in float64."""
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


def has_native_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices with float32 sums faster than float32 matrices."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    native = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return bool(native) and torch.backends.mkldnn.is_available()


def _decide(
    queries: Rows, rows: Rows, query: Indices, row: Indices, exact: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], Indices]:
    """Select the nearest candidate row of every query by direct differences.

    Args:
        queries: (N, D) queries.
        rows: (n, D) bank.
        query: Query of each candidate pair, ascending.
        row: Bank row of each candidate pair.
        exact: Squared distances that are already known, NaN elsewhere; completed in place.

    Returns:
        Squared distances and rows, both (N,).
    """
    if len(query) > MANY * len(queries):
        rough = squared_distances(queries, rows, query, row, np.float32)
        best = np.minimum.reduceat(rough, np.flatnonzero(np.diff(query, prepend=-1)))
        close = rough <= best[query] * (1 + 4 * (rows.shape[1] + 8) * EPS32)
        query, row, exact = query[close], row[close], exact[close]
    unknown = np.flatnonzero(np.isnan(exact))
    exact[unknown] = squared_distances(queries, rows, query[unknown], row[unknown], np.float64)
    order = np.lexsort((row, exact, query))
    winners = order[np.flatnonzero(np.diff(query[order], prepend=-1))]
    return exact[winners], row[winners]
