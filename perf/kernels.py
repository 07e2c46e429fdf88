"""The methods' kernels beside released loops, faiss, torch and SciPy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.blocks.coreset import kcenter
from ltbench.methods.blocks.gaussians import GaussianField
from ltbench.methods.blocks.neighbors import has_native_bfloat16, nearest
from ltbench.methods.blocks.outliers import lof_per_position
from ltbench.methods.blocks.projection import project
from perf import kernel_peers
from perf.comparison import Comparison, Limit, Side

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


def _coreset_inputs(brief: bool, count: int, m: int) -> tuple[Rows, int]:
    return (mixture(500, 256), 5) if brief else (mixture(count, 1024), m)


def _ours_coreset(given: tuple[Rows, int]) -> tuple[Rows, npt.NDArray[np.int64]]:
    rows, m = given
    return rows, kcenter(rows, m, rng=np.random.default_rng(0), start="random1")


def _projected_and_started(rows: Rows) -> tuple[Rows, int]:
    """Projected rows and first row, as `kcenter` draws them from the same generator."""
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
        limit=Limit(
            "float32 product",
            2 * count * 1024 * 128 + 2 * count * m * 129,
            "projection and the loop's products",
        ),
    )


# ---- nearest neighbour


QUERIES = 3136


def _neighbour_inputs(brief: bool, bank: int) -> tuple[Rows, Rows]:
    queries, kept = (64, 256) if brief else (QUERIES, bank)
    rows = mixture(queries + kept, 1024)
    return rows[:queries], rows[queries:]


def _relative(ours: Any, theirs: Any) -> float:
    """Largest relative difference of the squared distances."""
    return float(np.max(np.abs(ours[0] - theirs[0]) / np.maximum(ours[0], 1e-12)))


def _neighbours(bank: int, faster_than_cdist: float | None) -> Comparison:
    unit = "bfloat16" if has_native_bfloat16() else "float32"
    return Comparison(
        name=f"nearest neighbour {bank}",
        size=f"{QUERIES} queries, bank of {bank}, 1024 numbers each (index included)",
        inputs=partial(_neighbour_inputs, bank=bank),
        ours=Side("ltbench", lambda given: nearest(*given)),
        peers=(
            Side("ltbench, float32 alone", lambda given: nearest(*given, backend="float32")),
            Side(
                "faiss IndexFlatL2", lambda given: kernel_peers.faiss_nearest(*given), ("faiss",), faster=1.4
            ),
            Side("torch.cdist", lambda given: kernel_peers.cdist_nearest(*given), (), faster_than_cdist),
        ),
        difference=_relative,
        limit=Limit(f"{unit} product", 2 * QUERIES * bank * 1024, "one product of queries and bank"),
        tolerance=1e-2,
    )


# ---- local outlier factor


def _patches(brief: bool, positions: int, images: int) -> Rows:
    positions, images = (2, 20) if brief else (positions, images)
    return mixture(positions * images, 1024).reshape(positions, images, 1024)


def _relative_factor(ours: Any, theirs: Any) -> float:
    """Largest relative difference of the factors."""
    return float(np.max(np.abs(ours - theirs) / theirs))


def _outliers(positions: int, images: int) -> Comparison:
    return Comparison(
        name=f"local outlier factor {images}",
        size=f"{positions} positions of {images} images, 1024 numbers each, 6 neighbours",
        inputs=partial(_patches, positions=positions, images=images),
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
        limit=Limit("float32 product", 2 * positions * images**2 * 1024, "one product per position"),
        tolerance=1e-5,
    )


# ---- Gaussians


def _vectors(brief: bool) -> Rows:
    images, positions = (4, 3) if brief else (80, 196)
    return mixture(images * positions, 100).reshape(images, positions, 100)


def _ours_gaussians(vectors: Rows) -> Rows:
    field = GaussianField()
    for batch in np.array_split(vectors, max(len(vectors) // 16, 1)):
        field.add(batch)
    field.finish()
    return field.distance(vectors[:16])


GAUSSIANS = Comparison(
    name="gaussians",
    size="196 positions, 80 images of 100 numbers fitted, 16 judged",
    inputs=_vectors,
    ours=Side("ltbench", _ours_gaussians),
    peers=(Side("NumPy covariance and inverse per position", kernel_peers.inverse_covariances),),
    difference=_relative_factor,
    tolerance=1e-4,
)

COMPARISONS = [
    _coreset(20_000, 200, 2),
    _coreset(50_000, 500, 5),
    _neighbours(1600, None),
    _neighbours(16384, 2),
    _outliers(49, 219),
    _outliers(6, 811),
    GAUSSIANS,
]
