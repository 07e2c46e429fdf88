"""The same kernels where a GPU is, beside what others run there: wall time until the device is done."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch

from ltbench.methods.blocks.coreset import kcenter
from ltbench.methods.blocks.neighbors import nearest
from ltbench.methods.blocks.outliers import lof_per_position
from ltbench.methods.blocks.score_maps import anomaly_map_tensor
from perf import accelerator_peers
from perf.comparison import Comparison, Side
from perf.kernels import mixture

DEVICE = "cuda"


def settled() -> float:
    """Seconds of the wall clock once the device has nothing left to do."""
    torch.cuda.synchronize()
    return time.perf_counter()


def _compared(name: str, size: str, inputs: Any, ours: Any, *peers: Side, **more: Any) -> Comparison:
    return Comparison(
        name=f"GPU: {name}",
        size=size,
        inputs=inputs,
        ours=Side("ltbench", ours),
        peers=peers,
        clock=settled,
        watches_memory=False,
        **{"difference": None, **more},
    )


# ---- memory banks


def _rows(brief: bool, count: int) -> Any:
    return mixture(500 if brief else count, 256 if brief else 1024)


def _coreset(count: int, m: int) -> Comparison:
    def ours(rows: Any, device: str = DEVICE) -> Any:
        return kcenter(
            rows, min(m, 20 * len(rows) // 100), rng=np.random.default_rng(0), start="random1", device=device
        )

    peers = [
        Side("loop of TailedCore", lambda rows: accelerator_peers.one_start_loop(rows, m, DEVICE)),
        Side("loop of patchcore-inspection", lambda rows: accelerator_peers.gram_loop(rows, m, DEVICE)),
    ]
    if count <= 50_000:
        peers.insert(0, Side("ltbench on the processor", lambda rows: ours(rows, "cpu")))
    return _compared(
        f"k-centre {count // 1000}k",
        f"{m} of {count} rows of 1024 (upload and projection to 128 included)",
        partial(_rows, count=count),
        ours,
        *peers,
    )


def _asked(brief: bool, queries: int, bank: int) -> Any:
    queries, bank = (64, 256) if brief else (queries, bank)
    rows = mixture(queries + bank, 1024)
    return rows[:queries], rows[queries:]


def _relative(ours: Any, theirs: Any) -> float:
    return float(np.max(np.abs(ours[0] - theirs[0]) / np.maximum(ours[0], 1e-12)))


def _neighbours(queries: int, bank: int) -> Comparison:
    return _compared(
        f"nearest neighbour {bank}",
        f"{queries} queries, bank of {bank}, 1024 numbers each (uploads included)",
        partial(_asked, queries=queries, bank=bank),
        lambda given: nearest(*given, device=DEVICE),
        Side("torch.cdist", lambda given: accelerator_peers.cdist_nearest(*given, DEVICE)),
        Side("float32 product and minimum", lambda given: accelerator_peers.product_nearest(*given, DEVICE)),
        difference=_relative,
    )


def _patches(brief: bool, positions: int, images: int) -> Any:
    positions, images = (2, 20) if brief else (positions, images)
    return mixture(positions * images, 128).reshape(positions, images, 128)


def _outliers(positions: int, images: int) -> Comparison:
    return _compared(
        f"local outlier factor {images}",
        f"{positions} positions of {images} images, 128 numbers each, 6 neighbours (upload included)",
        partial(_patches, positions=positions, images=images),
        lambda patches: lof_per_position(patches, 6, device=DEVICE),
        Side("ltbench on the processor", lambda patches: lof_per_position(patches, 6)),
        Side("torch.cdist per position", lambda patches: accelerator_peers.cdist_lof(patches, 6, DEVICE)),
        difference=lambda ours, theirs: float(np.max(np.abs(ours - theirs) / ours)),
    )


# ---- maps


def _grids(brief: bool) -> torch.Tensor:
    return torch.rand(2 if brief else 256, 28, 28, generator=torch.Generator().manual_seed(0)).to(DEVICE)


MAPS = _compared(
    "maps 256",
    "256 grids of 28² to 256² on the device, Gaussian of 4 pixels",
    _grids,
    lambda grids: anomaly_map_tensor(grids, 256, 4.0),
    Side("torch convolution", lambda grids: accelerator_peers.convolved(grids, 256, 4.0)),
    difference=lambda ours, theirs: float((ours - theirs).abs().max() / (ours.max() - ours.min())),
)

COMPARISONS = [
    _coreset(50_000, 5000),
    _coreset(200_000, 2000),
    _neighbours(62_720, 16_384),
    _neighbours(62_720, 114_000),
    _outliers(784, 219),
    _outliers(196, 811),
    MAPS,
]
