"""Bootstrapped memories against brute force over every possible draw."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
import torch

from ltbench.methods.blocks import patch_to_image as table_module
from ltbench.methods.blocks.bootstrap import (
    Bootstrap,
    drawn_images,
    expected_nearest,
    memory_scores,
    sampled_nearest,
    survival,
)
from ltbench.methods.blocks.patch_to_image import patch_to_image, slabs
from ltbench.methods.errors import BadParameter, MethodsError


def vectors(images: int, patches: int = 5, dim: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(images, patches, dim)).astype(np.float32)


def plain_distance(a: np.ndarray, b: np.ndarray, metric: str) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return float(np.linalg.norm(a - b))
    return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def plain_memory_score(patch: np.ndarray, images: list[np.ndarray], metric: str) -> float:
    """Equation 1: distance to the nearest patch of all images of a memory."""
    return min(plain_distance(patch, other, metric) for image in images for other in image)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_table_holds_the_nearest_patch_of_every_image(metric: str) -> None:
    rows = vectors(4)
    table = patch_to_image(rows, metric=metric).numpy()
    for i, p, j in product(range(4), range(5), range(4)):
        assert table[i, p, j] == pytest.approx(plain_memory_score(rows[i, p], [rows[j]], metric), abs=2e-6)
        assert i != j or table[i, p, j] == 0


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("images", [1, 2, 7])
def test_slabs_are_the_rows_of_the_whole_table(
    metric: str, images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = vectors(images)
    whole = patch_to_image(rows, metric=metric)
    monkeypatch.setattr(table_module, "CPU_CELLS", 4 * 5 * 5)  # two images per block
    parts = list(slabs(rows, metric=metric, max_bytes=1))
    assert len(parts) == (images + 1) // 2
    torch.testing.assert_close(torch.cat([part for _, part in parts]), whole, atol=2e-6, rtol=1e-5)


def test_a_table_that_fits_multiplies_every_pair_of_images_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "CPU_CELLS", 1)  # one image per block
    pairs = []
    plain = table_module._similarity

    def counted(rows, half, near, far):
        pairs.append((near.start, far.start))
        return plain(rows, half, near, far)

    monkeypatch.setattr(table_module, "_similarity", counted)
    memory_scores(vectors(6), Bootstrap(draws=1), np.random.default_rng(0))
    once = len(pairs)
    memory_scores(vectors(6), Bootstrap(draws=500), np.random.default_rng(0))
    assert once == 6 * 7 / 2
    assert len(pairs) == 2 * once, "more memories need no further product"


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize(("images", "size"), [(1, 1), (4, 1), (5, 2), (5, 3), (4, 4)])
def test_closed_form_is_the_mean_over_every_draw(images: int, size: int, replacement: bool) -> None:
    distances = np.random.default_rng(images * size).random((3, images))
    if replacement:
        draws = list(product(range(images), repeat=size))
    else:
        draws = list(combinations(range(images), size))
    brute = np.mean([distances[:, list(draw)].min(axis=1) for draw in draws], axis=0)
    bootstrap = Bootstrap(ratio=size / images, replacement=replacement)
    assert bootstrap.size(images) == size
    found = expected_nearest(torch.tensor(distances), np.zeros(images, np.int64), bootstrap)
    np.testing.assert_allclose(found.numpy(), brute, rtol=1e-6)


@pytest.mark.parametrize("replacement", [True, False])
def test_closed_form_per_view_is_the_mean_over_every_stratified_draw(replacement: bool) -> None:
    strata = np.array([0, 1, 0, 1, 0, 2])
    distances = np.random.default_rng(3).random((4, 6))
    bootstrap = Bootstrap(ratio=0.5, replacement=replacement)
    chosen = []
    for stratum in range(3):
        members = np.flatnonzero(strata == stratum).tolist()
        size = bootstrap.size(len(members))
        drawn = product(members, repeat=size) if replacement else combinations(members, size)
        chosen.append(list(drawn))
    draws = [sum(parts, ()) for parts in product(*chosen)]
    brute = np.mean([distances[:, list(draw)].min(axis=1) for draw in draws], axis=0)
    found = expected_nearest(torch.tensor(distances), strata, bootstrap)
    np.testing.assert_allclose(found.numpy(), brute, rtol=1e-6)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("exclude_self", [True, False])
def test_scores_of_patches_are_the_mean_over_memories_built_one_by_one(
    replacement: bool, exclude_self: bool
) -> None:
    rows = vectors(5, patches=3)
    bootstrap = Bootstrap(ratio=0.4, replacement=replacement, exclude_self=exclude_self)
    found = memory_scores(rows, bootstrap, np.random.default_rng(0))
    for i, p in product(range(5), range(3)):
        among = [image for image in range(5) if image != i or not exclude_self]
        size = bootstrap.size(len(among))
        draws = list(product(among, repeat=size) if replacement else combinations(among, size))
        scores = [plain_memory_score(rows[i, p], [rows[j] for j in draw], "cosine") for draw in draws]
        assert found[i, p] == pytest.approx(np.mean(scores), abs=2e-6)


@pytest.mark.parametrize("exclude_self", [True, False])
def test_many_drawn_memories_approach_the_exact_mean(exclude_self: bool) -> None:
    rows = vectors(8)
    exact = memory_scores(rows, Bootstrap(0.25, exclude_self=exclude_self), np.random.default_rng(0))
    drawn = Bootstrap(0.25, draws=4000, exclude_self=exclude_self)
    sampled = memory_scores(rows, drawn, np.random.default_rng(0))
    assert np.abs(sampled - exact).max() < 0.03
    few = memory_scores(rows, Bootstrap(0.25, draws=3, exclude_self=exclude_self), np.random.default_rng(0))
    assert np.abs(few - exact).max() > np.abs(sampled - exact).max()


def test_sampled_mean_is_the_mean_of_the_minima() -> None:
    distances = torch.tensor([[3.0, 1.0, 2.0], [5.0, 6.0, 4.0]])
    found = sampled_nearest(distances, np.array([[0, 1], [2, 2]]))
    assert found.tolist() == [1.5, 4.5]


def test_every_view_is_drawn_from() -> None:
    strata = np.repeat([0, 1, 2], [30, 9, 1])
    memories = drawn_images(strata, Bootstrap(draws=50, replacement=False), np.random.default_rng(1))
    assert memories.shape == (50, 3 + 1 + 1)
    assert all(np.bincount(strata[memory], minlength=3).tolist() == [3, 1, 1] for memory in memories)
    assert all(len(set(memory)) == len(memory) for memory in memories.tolist())


@pytest.mark.parametrize(("images", "size"), [(1, 1), (9, 1), (10, 1), (11, 2), (30, 3), (391, 40)])
def test_a_memory_holds_the_ceiling_of_its_share(images: int, size: int) -> None:
    assert Bootstrap(ratio=0.1).size(images) == size


@pytest.mark.parametrize("replacement", [True, False])
def test_probability_to_miss_falls_from_one_to_zero(replacement: bool) -> None:
    missed = survival(12, 3, replacement)
    assert missed[0] == 1
    assert missed[-1] == 0
    assert (np.diff(missed) <= 0).all()


def test_a_lonely_image_is_at_distance_zero_from_its_class() -> None:
    assert not memory_scores(vectors(1), Bootstrap(), np.random.default_rng(0)).any()


def test_self_in_a_tenth_of_the_memories_shrinks_scores_by_a_tenth() -> None:
    """Orthogonal images are all equally far, so that only the own image lowers a patch's score."""
    rows = np.eye(40, dtype=np.float32)[:, None]
    scores = memory_scores(rows, Bootstrap(), np.random.default_rng(0))
    np.testing.assert_allclose(scores, (1 - 1 / 40) ** 4, rtol=1e-6)


def test_nonsense_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadParameter, match="ratio is 0"):
        Bootstrap(ratio=0)
    with pytest.raises(BadParameter, match="memories is -1"):
        Bootstrap(draws=-1)
    with pytest.raises(BadParameter, match="unknown metric 'l7'"):
        patch_to_image(vectors(2), metric="l7")
    with pytest.raises(MethodsError, match="training set is empty"):
        patch_to_image(vectors(0))
