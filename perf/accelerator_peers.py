"""Peers on a GPU: library calls, and released loops restated plainly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ltbench.methods.blocks.projection import random_projection

Rows = npt.NDArray[np.float32]


def _projected(rows: Rows, device: str) -> tuple[torch.Tensor, int]:
    """Projected rows and first row, as `kcenter` draws them."""
    rng = np.random.default_rng(0)
    matrix: Any = random_projection(rows.shape[1], 128, rng)
    return torch.tensor(rows, device=device) @ torch.tensor(matrix, device=device), int(
        rng.integers(len(rows))
    )


def one_start_loop(rows: Rows, m: int, device: str) -> npt.NDArray[np.int64]:
    """Greedy k-centre as TailedCore releases it: per centre a difference to all rows and its norm."""
    features, start = _projected(rows, device)
    chosen = [start]
    distance = torch.linalg.norm(features - features[start], dim=1)
    for _ in range(min(m, len(rows)) - 1):
        chosen.append(int(torch.argmax(distance)))
        distance = torch.minimum(distance, torch.linalg.norm(features - features[chosen[-1]], dim=1))
    return np.array(chosen)


def gram_loop(rows: Rows, m: int, device: str) -> npt.NDArray[np.int64]:
    """The same by squared lengths and inner products, as patchcore-inspection's approximate sampler does."""
    features, start = _projected(rows, device)
    squares = (features * features).sum(1, keepdim=True)

    def distance_to(centre: int) -> torch.Tensor:
        inner = features.mm(features[centre : centre + 1].T)
        return (squares - 2 * inner + squares[centre]).clamp(0).sqrt()

    chosen, distance = [start], distance_to(start)
    for _ in range(min(m, len(rows)) - 1):
        chosen.append(int(torch.argmax(distance)))
        both = torch.cat([distance, distance_to(chosen[-1])], dim=1)
        distance = torch.min(both, dim=1).values.reshape(-1, 1)
    return np.array(chosen)


def cdist_nearest(queries: Rows, bank: Rows, device: str) -> tuple[Rows, npt.NDArray[np.int64]]:
    """torch.cdist and a minimum, in blocks of 4096 queries."""
    rows = torch.tensor(bank, device=device)
    found = [torch.cdist(block.to(device), rows).min(1) for block in torch.from_numpy(queries).split(4096)]
    distance = torch.cat([part.values for part in found]).square()
    return distance.cpu().numpy(), torch.cat([part.indices for part in found]).cpu().numpy()


def product_nearest(queries: Rows, bank: Rows, device: str) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Squares less twice a float32 product, and a minimum: what a flat index on a GPU does."""
    rows = torch.tensor(bank, device=device)
    squares = rows.square().sum(dim=1)
    distances, numbers = [], []
    for block in torch.from_numpy(queries).split(4096):
        there = block.to(device)
        value, number = torch.addmm(squares[None], there, rows.T, alpha=-2).min(dim=1)
        distances.append((value + there.square().sum(dim=1)).clamp_min(0))
        numbers.append(number)
    return torch.cat(distances).cpu().numpy(), torch.cat(numbers).cpu().numpy()


def cdist_lof(patches: Rows, k: int, device: str) -> npt.NDArray[np.float64]:
    """Local outlier factors from a table of distances per position, one position after another."""
    factors = []
    for position in patches:
        rows = torch.tensor(position, device=device)
        distance = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
        near = distance.fill_diagonal_(torch.inf).topk(k, dim=1, largest=False)
        reach = torch.maximum(near.values, near.values[:, -1][near.indices]).double()
        density = 1 / (reach.mean(dim=1) + 1e-10)
        factors.append(density[near.indices].mean(dim=1) / density)
    return torch.stack(factors).cpu().numpy()


def convolved(grids: torch.Tensor, size: int, sigma: float) -> torch.Tensor:
    """Bilinear upsampling and a 2-D convolution, as anomalib's GaussianBlur2d (scipy's borders)."""
    radius = int(4 * sigma + 0.5)
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=grids.device) / sigma) ** 2)
    kernel = torch.outer(line, line)[None, None] / line.sum() ** 2
    maps = functional.interpolate(grids[:, None], size=(size, size), mode="bilinear")
    # SciPy's "reflect" repeats the border pixel, torch's does not.
    inner = torch.arange(size, device=grids.device)
    around = torch.cat([inner[:radius].flip(0), inner, inner[-radius:].flip(0)])
    return functional.conv2d(maps[:, :, around][:, :, :, around], kernel)[:, 0]
