"""The methods' kernels beside released loops, faiss, torch and SciPy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmark.maps import anomaly_maps
from methods.blocks.coreset import kcenter, project
from methods.blocks.embedding import patchcore_embedding
from methods.blocks.neighbors import nearest
from methods.blocks.outliers import lof_per_position
from perf import kernel_peers
from perf.pairs import Comparison, Side

torch.set_num_threads(1)
Rows = npt.NDArray[np.float32]


def mixture(count: int, dim: int, *, seed: int = 0) -> Rows:
    """Rows around fifteen centres of falling frequency, with a spectrum that falls like real features'."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(15, dim))
    share = 1 / np.arange(1, 16)
    member = rng.choice(15, count, p=share / share.sum())
    scale = np.arange(1, dim + 1) ** -0.5
    return ((centres[member] + rng.normal(size=(count, dim))) * scale).astype(np.float32)


# ---- greedy coreset


def _coreset_inputs(tiny: bool, count: int, m: int) -> tuple[Rows, int]:
    return (mixture(500, 256), 5) if tiny else (mixture(count, 1024), m)


def _ours_coreset(given: tuple[Rows, int]) -> tuple[Rows, npt.NDArray[np.int64]]:
    rows, m = given
    return rows, kcenter(rows, m, rng=np.random.default_rng(0), start="random1")


def _projected_and_started(rows: Rows) -> tuple[Rows, int]:
    """What `kcenter` draws from the same generator: the projection, then the first row."""
    rng = np.random.default_rng(0)
    return project(rows, 128, rng), int(rng.integers(len(rows)))


def _loop(run: Any) -> Any:
    def coreset(given: tuple[Rows, int]) -> tuple[Rows, npt.NDArray[np.int64]]:
        rows, m = given
        projected, start = _projected_and_started(rows)
        return rows, run(np.ascontiguousarray(projected), m, start)

    return coreset


def _anomalib(given: tuple[Rows, int]) -> tuple[Rows, npt.NDArray[np.int64]]:
    rows, m = given
    return rows, kernel_peers.anomalib_kcenter(rows, m, 0)


def _cover_radius(answer: tuple[Rows, npt.NDArray[np.int64]]) -> float:
    """Largest distance of a row, after our projection, to the chosen rows."""
    rows, chosen = answer
    projected = _projected_and_started(rows)[0]
    left = torch.from_numpy(projected).double()
    return float(torch.cdist(left, left[torch.from_numpy(chosen)]).min(1).values.max())


def _radius_difference(ours: Any, theirs: Any) -> float:
    """Relative difference of the cover radii."""
    one, other = _cover_radius(ours), _cover_radius(theirs)
    return abs(one - other) / one


def _coreset(count: int, m: int, faster: float) -> Comparison:
    return Comparison(
        name=f"k-centre {count // 1000}k",
        size=f"{m} of {count} rows of 1024 (projection to 128 included)",
        inputs=partial(_coreset_inputs, count=count, m=m),
        ours=Side("ltbench", _ours_coreset),
        peers=(
            Side("loop of TailedCore", _loop(kernel_peers.one_start_loop), faster=faster),
            Side("loop of patchcore-inspection", _loop(kernel_peers.gram_loop), faster=faster),
            Side("anomalib KCenterGreedy", _anomalib, ("anomalib",), faster=faster),
        ),
        difference=_radius_difference,
    )


# ---- nearest neighbour


def _neighbour_inputs(tiny: bool) -> tuple[Rows, Rows]:
    queries, bank = (64, 256) if tiny else (3136, 16384)
    rows = mixture(queries + bank, 1024)
    return rows[:queries], rows[queries:]


def _relative(ours: Any, theirs: Any) -> float:
    """Largest relative difference of the squared distances."""
    return float(np.max(np.abs(ours[0] - theirs[0]) / np.maximum(ours[0], 1e-12)))


NEIGHBOURS = Comparison(
    name="nearest neighbour",
    size="3136 queries, bank of 16384, 1024 numbers each",
    inputs=_neighbour_inputs,
    ours=Side("ltbench", lambda given: nearest(*given)),
    peers=(
        Side("faiss IndexFlatL2", lambda given: kernel_peers.faiss_nearest(*given), ("faiss",), faster=1.4),
        Side("torch.cdist", lambda given: kernel_peers.cdist_nearest(*given), faster=2),
    ),
    difference=_relative,
    tolerance=1e-2,
)


# ---- local outlier factor


def _patches(tiny: bool) -> Rows:
    positions, images = (2, 20) if tiny else (49, 219)
    return mixture(positions * images, 1024).reshape(positions, images, 1024)


def _relative_factor(ours: Any, theirs: Any) -> float:
    """Largest relative difference of the factors."""
    return float(np.max(np.abs(ours - theirs) / theirs))


OUTLIERS = Comparison(
    name="local outlier factor",
    size="49 positions of 219 images, 1024 numbers each, 6 neighbours",
    inputs=_patches,
    ours=Side("ltbench", lambda patches: lof_per_position(patches, 6)),
    peers=(
        Side(
            "scikit-learn per position",
            lambda patches: kernel_peers.sklearn_lof(patches, 6),
            ("sklearn",),
            faster=5,
        ),
    ),
    difference=_relative_factor,
    tolerance=1e-5,
)


# ---- maps and embedding


def _grids(tiny: bool) -> Rows:
    return np.random.default_rng(0).random((2 if tiny else 64, 28, 28), dtype=np.float32)


def _layers(tiny: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    batch = 1 if tiny else 8
    return (
        torch.randn(batch, 512, 28, 28, generator=generator),
        torch.randn(batch, 1024, 14, 14, generator=generator),
    )


def _largest(ours: Any, theirs: Any) -> float:
    """Largest difference over the range of our values."""
    one, other = np.asarray(ours), np.asarray(theirs)
    return float(np.abs(one - other).max() / np.ptp(one))


MAPS = Comparison(
    name="maps",
    size="64 grids of 28² to 256², Gaussian of 4 pixels",
    inputs=_grids,
    ours=Side("ltbench", lambda grids: anomaly_maps(grids, 256, 4.0)),
    peers=(
        Side("torch + scipy", lambda grids: kernel_peers.interpolate_and_scipy(grids, 256, 4.0), faster=10),
        Side("torch convolution", lambda grids: kernel_peers.torch_convolution(grids, 256, 4.0), faster=10),
    ),
    difference=_largest,
    tolerance=1e-5,
)

EMBEDDING = Comparison(
    name="patchcore embedding",
    size="8 images, 512 x 28² and 1024 x 14² to 784 vectors of 1024",
    inputs=_layers,
    ours=Side("ltbench", lambda layers: patchcore_embedding(layers).numpy()),
    peers=(
        Side(
            "unfold as released", lambda layers: kernel_peers.released_embedding(*layers).numpy(), faster=20
        ),
    ),
    difference=_largest,
    tolerance=1e-5,
)

COMPARISONS = [_coreset(20_000, 200, 2), _coreset(50_000, 500, 5), NEIGHBOURS, OUTLIERS, MAPS, EMBEDDING]
