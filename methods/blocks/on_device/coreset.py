"""Greedy k-centre selection on a GPU: the plain loop over a pool of rows, many steps per synchronisation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.blocks.on_device import on_device

POOL = 8192
"""Rows kept up to date at a time: in float64 they stay in the second-level cache."""
STEPS = 32
"""Centres selected between synchronisations: waiting for the device takes as long as a step."""
RECORDED_AT = 3
"""Call of the loop that records its steps as a CUDA graph: a replay saves the launch of each kernel."""
ROWS = 2048
"""Rows per product when a pool is brought up to date."""
CENTRES = 8192
"""Centres per product when a pool is brought up to date."""
PART = 65_536
"""Rows copied to the device, or subtracted, at a time."""


def uploaded(
    X: npt.NDArray[np.float32],
    chosen: npt.NDArray[np.int64],
    matrix: npt.NDArray[np.float32] | None,
    device: str | torch.device,
) -> torch.Tensor:
    """Copy the chosen rows of X (N, D) to the device as float32, multiplied by the matrix (D, d) if given.

    Rows are copied in parts, since X may be larger than the device's memory.
    """
    projection = None if matrix is None else torch.tensor(matrix, device=device)
    out = torch.empty(len(chosen), X.shape[1] if matrix is None else matrix.shape[1], device=device)
    for low in range(0, len(chosen), PART):
        rows = slice(low, low + PART) if len(chosen) == len(X) else chosen[low : low + PART]
        part = on_device(X[rows].astype(np.float32, copy=False), device)
        out[low : low + PART] = part if projection is None else part @ projection
    return out


class DeviceGreedy:
    """Farthest-point selection with lazily updated distances, see `lazy_greedy.LazyGreedy`.

    A row's distance to the nearest centre only shrinks. The bounds of a pool, the rows with the largest ones,
    are brought up to date, then the plain loop runs on the pool while its maximum is certainly the global
    one. A product in float64 finds the nearest of many centres; distances are direct differences in float64.
    """

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows
        self.bound = torch.full((len(rows),), torch.inf, dtype=torch.float64, device=rows.device)
        """Squared distance to the nearest of the first seen[i] centres; -1 = is a centre."""
        self.seen = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        self.square = torch.cat([part.double().square_().sum(dim=1) for part in rows.split(PART)])
        self.chosen = torch.empty(0, dtype=torch.int64, device=rows.device)
        self.taken = 0
        self._loop: _PlainLoop | None = None

    @property
    def finite(self) -> npt.NDArray[np.bool_]:
        """Flags (N,) of the rows whose squared differences cannot overflow float32, as on a CPU."""
        return np.asarray((self.square < torch.finfo(torch.float32).max / 8).cpu())

    def select(
        self, m: int, *, first: int | None = None, anchors: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.int64]:
        """Select m rows and return their indices in the order of selection.

        Args:
            m: Number of rows.
            first: Row that is selected first.
            anchors: Rows whose mean distance to each row initialises its distance.
        """
        self.chosen = self.chosen.new_empty(m)
        if first is not None:
            self.bound = self._squared_distance(first)
            self._take(self.chosen.new_tensor([first]))
            self.seen[:] = 1
        if anchors is not None:
            mean = torch.stack([self._squared_distance(row).sqrt_() for row in anchors.tolist()]).mean(dim=0)
            self.bound = mean**2
        while self.taken < m:
            pool, outside = self._pool()
            self._refresh(pool)
            # Many rows were tied; up to date, they may no longer be.
            if len(pool) > 2 * POOL:
                pool, outside = self._pool()
                self._refresh(pool)
            if float(self.bound.max()) <= 0:
                left = torch.nonzero(self.bound >= 0).flatten()
                self._take(left[: m - self.taken])
            else:
                self._run_plain_loop(pool, max(outside, 0.0))
        return np.asarray(self.chosen.cpu())

    def _take(self, indices: torch.Tensor) -> None:
        """Add rows to the centres."""
        self.chosen[self.taken : self.taken + len(indices)] = indices
        self.bound[indices] = -1
        self.taken += len(indices)

    def _squared_distance(self, index: int) -> torch.Tensor:
        """Squared distance of each row to one row, float64 (N,), by direct differences."""
        centre = self.rows[index].double()
        return torch.cat([(part.double() - centre).square_().sum(dim=1) for part in self.rows.split(PART)])

    def _pool(self) -> tuple[torch.Tensor, float]:
        """Indices of the `POOL` largest bounds and all ties, ascending, and the largest of the others."""
        if len(self.bound) <= POOL:
            return torch.arange(len(self.bound), device=self.bound.device), -torch.inf
        inside = self.bound >= self.bound.topk(POOL).values[-1]
        outside = self.bound.masked_fill(inside, -torch.inf).max()
        return torch.nonzero(inside).flatten(), float(outside)

    def _refresh(self, pool: torch.Tensor) -> None:
        """Bring the bounds of a pool up to date with all centres."""
        stale = pool[(self.seen[pool] < self.taken) & (self.bound[pool] >= 0)]
        # Sorted, the rows of a block lack about the same centres.
        order = self.seen[stale].sort(stable=True)
        firsts = order.values[::ROWS].tolist()
        for block, first in zip(stale[order.indices].split(ROWS), firsts, strict=False):
            rows, nearest = self.rows[block].double(), self.bound[block]
            for centres in self.chosen[first : self.taken].split(CENTRES):
                others = self.rows[centres].double()
                column = torch.addmm(self.square[centres], rows, others.T, alpha=-2).argmin(dim=1)
                nearest = torch.minimum(nearest, (rows - others[column]).square_().sum(dim=1))
            self.bound[block] = nearest
        self.seen[pool] = self.taken

    def _run_plain_loop(self, pool: torch.Tensor, rival: float) -> None:
        """Select the farthest row of the pool, whose bounds are exact, while it is farther than `rival`."""
        if self._loop is None or len(self._loop.bound) != len(pool):
            self._loop = _PlainLoop(len(pool), self.rows)
        loop, selected, left = self._loop, [], len(self.chosen) - self.taken
        loop.start(self.rows[pool], self.bound[pool], rival)
        while left > 0:
            farthest, allowed = loop.advance()
            selected.append(farthest[: min(allowed, left)])
            left -= allowed
            if allowed < STEPS:
                break
        self.bound[pool] = loop.bound
        self._take(pool[torch.cat(selected)])
        self.seen[pool] = self.taken


class _PlainLoop:
    """Plain farthest-point loop over a pool, STEPS steps at a time, replayed as a CUDA graph on a GPU.

    The device runs all steps without asking whether the farthest row still exceeds the rival; from the first
    step where it does not, steps have no effect. A centre keeps a distance of 0 here: only rows that are
    farther than the rival, and than 0, are selected.
    """

    def __init__(self, count: int, like: torch.Tensor) -> None:
        # The last row is far from all others: a step that selects it as centre changes no distance.
        self.rows = torch.full((count + 1, like.shape[1]), 1e150, dtype=torch.float64, device=like.device)
        self.bound = self.rows.new_zeros(count)
        self.rival = self.rows.new_zeros(1)
        self.values = self.rows.new_zeros(STEPS)
        self.farthest = torch.zeros(STEPS, dtype=torch.int64, device=like.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0

    def start(self, rows: torch.Tensor, bound: torch.Tensor, rival: float) -> None:
        """Load the pool: rows, their squared distances to the nearest centre, and the distance to exceed."""
        self.rows[:-1] = rows
        self.bound.copy_(bound)
        self.rival.fill_(rival)

    def advance(self) -> tuple[torch.Tensor, int]:
        """Run STEPS steps: the selected positions in the pool, and how many of them exceed the rival."""
        self._calls += 1
        # Not at the first call: a pool of this size may not recur, and recording needs initialised libraries.
        if self._calls == RECORDED_AT and self.rows.is_cuda:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._steps()
        if self._graph is None:
            self._steps()
        else:
            self._graph.replay()
        return self.farthest.clone(), int((self.values > self.rival).sum())

    def _steps(self) -> None:
        """Run STEPS steps in place: select the farthest row and update all distances."""
        for step in range(STEPS):
            value, farthest = self.values[step : step + 1], self.farthest[step : step + 1]
            torch.max(self.bound, dim=0, keepdim=True, out=(value, farthest))
            centre = self.rows.index_select(0, torch.where(value > self.rival, farthest, len(self.bound)))
            difference = torch.sub(self.rows[:-1], centre)
            torch.minimum(self.bound, difference.square_().sum(dim=1), out=self.bound)
