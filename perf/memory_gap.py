"""`python -m perf.memory_gap`: how sparse memories separate defective from normal patches (MeDS, theorem 1).

For memories of m images of a class (or, with `--memories patches`, of m of its patches, as in the theorem),
prints the mean distance of normal and of defective training patches, the gap between them, its first-order
part, and how well the distance tells them apart: over the share m / N. The theorem's weight has one peak over
the size. Memories of whole images, which the method draws, lie beyond it on the embedded data: the gap falls
from one image on. Memories of single patches show both sides.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from ltbench.benchmark.metrics.blocks.curve import auroc
from ltbench.benchmark.metrics.blocks.image_curve import curve_of_scores
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import Context, View
from ltbench.methods.blocks.bootstrap import survival
from ltbench.methods.blocks.patch_to_image import patch_to_image
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.cache import FeatureCache
from ltbench.methods.features.embed import PatchEmbedder
from ltbench.splits import recipes
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.images import ImageSet, LabelledImage
from ltbench.splits.view import resize_and_crop_mask

Floats = npt.NDArray[np.float64]
SHARES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
PATCHES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Sizes of memories of single patches, up to all there are."""
STEPS = 400
"""Radii over which the first-order part is integrated."""


@dataclass(frozen=True)
class Gap:
    """Distances of a class' normal and defective training patches to memories of one size."""

    size: int
    """m: images, or patches, drawn with replacement."""
    normal: float
    """Expected distance of a normal patch, mean over patches."""
    defective: float
    first_order: float
    """Delta_0 of theorem 1; the gap minus this is never negative."""
    auroc: float
    """Probability that a defective patch is farther than a normal one."""

    @property
    def gap(self) -> float:
        """Delta(m)."""
        return self.defective - self.normal


def expected_distances(table: Floats, size: int) -> Floats:
    """(Q,) mean over all draws of `size` of N images, with replacement, of the distance to the nearest.

    The integral over r of (1 - pi(q, r))^m, where pi is the share of images within r of the patch: a sum over
    the patch's distances (Q, N), each row in rising order.
    """
    missed = survival(table.shape[1], size, replacement=True)
    nearest: Floats = table @ (missed[:-1] - missed[1:])
    return nearest


def first_order_gap(normal: Floats, defective: Floats, size: int, radii: Floats) -> float:
    """Delta_0(m): mean over pairs of patches of the integral of (pi_n - pi_d) m (1 - pi_n)^(m - 1).

    pi: shares within each of the `radii` (R,) of normal (Q, R) and of defective patches (P, R).
    """
    weight = size * (1 - normal) ** (size - 1)
    return float(np.trapezoid(((normal - defective.mean(axis=0)) * weight).mean(axis=0), radii))


def gaps(table: Floats, defective: npt.NDArray[np.bool_], sizes: list[int]) -> list[Gap]:
    """One row per memory size, for patches (Q,) and their distances (Q, N) to what memories are made of."""
    table = np.sort(table, axis=1)
    radii = np.linspace(0, table.max(), STEPS)
    shares = shares_within(table, radii)
    rows = []
    for size in sizes:
        expected = expected_distances(table, size)
        rows.append(
            Gap(
                size,
                float(expected[~defective].mean()),
                float(expected[defective].mean()),
                first_order_gap(shares[~defective], shares[defective], size, radii),
                auroc(curve_of_scores(expected, defective)),
            )
        )
    return rows


def shares_within(table: Floats, radii: Floats) -> Floats:
    """(Q, R): share of each patch's distances (Q, N), rising, that are at most each of the radii (R,)."""
    return np.array([np.searchsorted(row, radii, "right") for row in table]) / table.shape[1]


def defective_patches(image: LabelledImage, dataset: Dataset, view: View, side: int) -> npt.NDArray[np.bool_]:
    """(side * side,) patches at least half of whose pixels are marked in the image's mask."""
    mask = dataset.mask(image)
    if mask is None:
        return np.zeros(side * side, bool)
    marked = resize_and_crop_mask(mask, view.resize, view.crop, squeeze=view.squeeze)
    edges = np.linspace(0, view.crop, side + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(marked.astype(int), edges, axis=0), edges, axis=1)
    return (sums >= 0.5 * (view.crop / side) ** 2).ravel()


def class_gaps(
    dataset: Dataset,
    images: list[LabelledImage],
    *,
    memories: str,
    backbone: str,
    grid: int,
    cache: Path,
    limit: int,
) -> tuple[list[Gap], int]:
    """Rows of one class and N, over at most `limit` patches of its training images. [] without masks."""
    images = sorted(images, key=lambda image: image.key)
    context = Context(rng=np.random.default_rng(0), cache=FeatureCache(cache, 50 * 10**9))
    vectors = PatchEmbedder(backbone, context, grid=grid).fit(ImageSet(images, dataset), title="").vectors
    count, side, _, dim = vectors.shape
    masks = np.concatenate([defective_patches(image, dataset, context.view, side) for image in images])
    # What surrounds a defect is neither.
    clear = np.repeat([not image.is_defective for image in images], side * side)
    kept = np.flatnonzero(masks | clear)
    if not masks.any():
        return [], 0
    chosen = np.random.default_rng(0).permutation(kept)[:limit]
    chosen = np.union1d(chosen, np.flatnonzero(masks)[:limit])
    if memories == "patches":
        rows = torch.nn.functional.normalize(torch.from_numpy(vectors.reshape(-1, dim)).double(), dim=1)
        table = (1 - rows[torch.from_numpy(chosen)] @ rows.T).clamp_min(0).numpy()
        sizes = [size for size in PATCHES if size < len(rows)] + [len(rows)]
    else:
        table = (
            patch_to_image(vectors.reshape(count, -1, dim), metric="cosine").flatten(0, 1).double().numpy()
        )
        table = table[chosen]
        sizes = sorted({max(1, round(share * count)) for share in SHARES})
    return gaps(table, masks[chosen], sizes), table.shape[1]


def main() -> None:
    """Measure every class of a contaminated split and print a table for each."""
    parser = argparse.ArgumentParser(prog="python -m perf.memory_gap", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dataset", default="synthetic:fabric+gear+washer", help="data set, with masks")
    parser.add_argument("--split", default="meds_nr20", help="contaminated split")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--grid", type=int, default=14, help="side of the patch grid")
    parser.add_argument(
        "--memories",
        choices=("images", "patches"),
        default="images",
        help="what a memory is made of: whole images, as MeDS draws them, or patches, as in the theorem",
    )
    parser.add_argument("--patches", type=int, default=4000, help="normal patches per class")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings, console = Settings(), Console()
    dataset = open_dataset(options.dataset, settings.data_root)
    split = recipes.build(options.split, dataset, options.seed)
    for category in split.categories:
        members = [image for image in split.train if image.category == category]
        found, count = class_gaps(
            dataset, members, memories=options.memories, backbone=options.backbone, grid=options.grid,
            cache=settings.cache_root, limit=options.patches,
        )  # fmt: skip
        if not found:
            console.print(f"{category}: no injected defect with a mask")
            continue
        console.print(table_of(f"{category}: {count} {options.memories}", found, count))


def table_of(title: str, rows: list[Gap], count: int) -> Table:
    """A row per memory size; the largest gap in bold."""
    table = Table(title=title, title_justify="left")
    for heading in ("m / N", "m", "normal", "defective", "gap", "first order", "patch AUROC"):
        table.add_column(heading, justify="right")
    best = max(rows, key=lambda row: row.gap)
    for row in rows:
        cells = (row.normal, row.defective, row.gap, row.first_order)
        table.add_row(
            f"{row.size / count:.2g}",
            str(row.size),
            *(f"{value:.4f}" for value in cells),
            f"{row.auroc:.3f}",
            style="bold" if row is best else None,
        )
    return table


if __name__ == "__main__":
    main()
