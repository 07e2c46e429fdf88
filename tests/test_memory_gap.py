"""Theorem 1 of MeDS on small tables: the closed form, its decomposition, and where the weight peaks."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from ltbench.methods.base import View
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.images import LabelledImage
from perf.memory_gap import (
    Gap,
    class_gaps,
    defective_patches,
    expected_distances,
    first_order_gap,
    gaps,
    shares_within,
)


def separable(images: int = 12, patches: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Distances of normal patches, and of defective ones that are farther from every share of the images."""
    draws = np.random.default_rng(seed)
    normal = draws.random((patches, images))
    return normal, normal + 0.3 + 0.1 * draws.random((patches, images))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_expected_distance_is_the_mean_over_all_draws_with_replacement(size: int) -> None:
    table = np.random.default_rng(1).random((3, 4))
    draws = list(product(range(4), repeat=size))
    brute = np.mean([table[:, list(draw)].min(axis=1) for draw in draws], axis=0)
    np.testing.assert_allclose(expected_distances(np.sort(table, axis=1), size), brute)


@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_gap_is_positive_and_at_least_its_first_order_part(size: int) -> None:
    normal, defective = separable()
    (row,) = gaps(np.concatenate([normal, defective]), np.arange(60) >= 30, [size])
    assert row.gap > 0
    assert row.first_order > 0
    assert row.gap >= row.first_order - 1e-3
    assert row.auroc > 0.5


def test_first_order_part_is_the_whole_gap_of_one_image() -> None:
    """(1 - u)^1 is linear: there is no remainder at m = 1."""
    normal, defective = separable()
    radii = np.linspace(0, 2, 8000)
    found = first_order_gap(
        *(shares_within(np.sort(t, axis=1), radii) for t in (normal, defective)), 1, radii
    )
    assert found == pytest.approx(defective.mean() - normal.mean(), rel=1e-3)


def test_weight_peaks_at_the_size_that_the_theorem_names() -> None:
    share = 0.1
    sizes = np.arange(1, 60)
    weight = sizes * (1 - share) ** (sizes - 1)
    peak = sizes[weight.argmax()]
    assert abs(peak - -1 / np.log(1 - share)) < 1
    assert (np.diff(weight[: peak - 1]) > 0).all()
    assert (np.diff(weight[peak:]) < 0).all()


def test_gap_falls_again_where_the_memory_holds_the_defects() -> None:
    """Defective patches have one near image (their own): only large memories find it."""
    draws = np.random.default_rng(2)
    normal, defective = draws.uniform(0.1, 0.3, (50, 30)), draws.uniform(0.5, 0.9, (50, 30))
    normal[:, 0] = defective[:, 0] = 0.0
    rows = gaps(np.concatenate([normal, defective]), np.arange(100) >= 50, [1, 3, 30, 200])
    assert rows[1].gap > rows[2].gap > rows[3].gap
    assert rows[3].gap < 0.01


def test_patches_are_defective_where_half_of_their_pixels_are_marked() -> None:
    class Marked:
        def mask(self, image: LabelledImage) -> np.ndarray:
            mask = np.zeros((16, 16), np.uint8)
            mask[:4, :4] = 255  # all of the first patch
            mask[4:6, 4:8] = 255  # half of another
            mask[12, 12] = 255  # a pixel of the last
            return mask

    image = LabelledImage("a/test/x/0.png", "a", "test", "x", "m.png")
    found = defective_patches(image, Marked(), View(16, 16), 4)
    assert np.flatnonzero(found).tolist() == [0, 5]


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, list[LabelledImage]]:
    """A generated product with four good images and two defects that have masks."""
    dataset = open_dataset("synthetic:bolt", tmp_path_factory.mktemp("data"))
    images = dataset.images()
    good = [image for image in images if not image.is_defective][:4]
    return dataset, good + [image for image in images if image.is_defective][:2]


@pytest.mark.parametrize(("memories", "count"), [("images", 6), ("patches", 6 * 7 * 7)])
def test_a_memory_is_made_of_images_or_of_single_patches(
    memories: str, count: int, bolts: tuple[Dataset, list[LabelledImage]], tmp_path: Path
) -> None:
    dataset, images = bolts
    rows, found = class_gaps(
        dataset, images, memories=memories, backbone="desc", grid=7, cache=tmp_path, limit=100
    )
    assert found == count
    assert rows[-1].size == count
    # The more is drawn, the nearer is the nearest.
    assert all(one.normal >= two.normal for one, two in pairwise(rows))
    assert all(np.isfinite([row.gap, row.first_order, row.auroc]).all() for row in rows)


def test_a_single_patch_is_farther_than_the_nearest_of_an_image(
    bolts: tuple[Dataset, list[LabelledImage]], tmp_path: Path
) -> None:
    def first(memories: str) -> Gap:
        dataset, images = bolts
        rows, _ = class_gaps(
            dataset, images, memories=memories, backbone="desc", grid=7, cache=tmp_path, limit=100
        )
        return rows[0]

    patch, image = first("patches"), first("images")
    assert patch.size == image.size == 1
    assert patch.normal > image.normal
    assert patch.defective > image.defective
