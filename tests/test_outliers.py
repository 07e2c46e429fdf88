"""Local outlier factors per position against scikit-learn, and the quantile of many values."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor

from ltbench.methods.blocks import outliers
from ltbench.methods.blocks.on_device import outliers as device_outliers
from ltbench.methods.blocks.outliers import lof_per_position, quantile


def by_scikit_learn(X: np.ndarray, k: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_neighbors")
        return np.stack(
            [
                -LocalOutlierFactor(n_neighbors=k, metric="l2", algorithm="brute")
                .fit(rows.astype(np.float64))
                .negative_outlier_factor_
                for rows in X
            ]
        )


def by_definition(rows: np.ndarray, k: int) -> np.ndarray:
    """Breunig et al. 2000 with sums over explicit neighbour lists; equal distances to the lower index."""
    n = len(rows)
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    near = [[j for j in np.argsort(distance[i], kind="stable") if j != i][:k] for i in range(n)]
    radius = [distance[i, near[i][-1]] for i in range(n)]
    density = [1 / (np.mean([max(radius[j], distance[i, j]) for j in near[i]]) + 1e-10) for i in range(n)]
    return np.array([np.mean([density[j] for j in near[i]]) / density[i] for i in range(n)])


def patches(positions: int, n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Clusters of images per position, the way classes look to one position, far from the origin."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(5, positions, dim)) + 5
    label = rng.choice(5, size=n, p=[0.4, 0.3, 0.2, 0.07, 0.03])
    return (centres[label] + rng.normal(size=(n, positions, dim))).transpose(1, 0, 2).astype(np.float32)


@pytest.mark.parametrize(
    ("positions", "n", "dim", "k"), [(5, 150, 128, 6), (3, 40, 4, 5), (9, 8, 16, 6), (2, 700, 32, 1)]
)
def test_factors_equal_scikit_learn(positions: int, n: int, dim: int, k: int) -> None:
    X = patches(positions, n, dim)
    np.testing.assert_allclose(lof_per_position(X, k), by_scikit_learn(X, k), rtol=2e-6)


def test_blocks_do_not_change_the_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    X = patches(7, 60, 24)
    whole = lof_per_position(X, 6)
    monkeypatch.setattr(outliers, "CELLS", 1000)
    np.testing.assert_allclose(lof_per_position(X, 6), whole, rtol=1e-6)


@pytest.mark.parametrize("n", [2, 3, 6, 7])
def test_with_fewer_images_than_neighbours_all_others_are_neighbours(n: int) -> None:
    X = patches(4, n, 8)
    np.testing.assert_allclose(lof_per_position(X, 6), by_scikit_learn(X, 6), rtol=2e-6)


def test_a_single_image_is_an_inlier_and_no_image_has_no_factor() -> None:
    assert lof_per_position(np.ones((3, 1, 4), np.float32)).tolist() == [[1.0]] * 3
    assert lof_per_position(np.ones((3, 0, 4), np.float32)).shape == (3, 0)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_copies_and_equal_distances_follow_the_definition(seed: int) -> None:
    """Points of a small grid: most are copies of others and most distances are equal."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, size=(70, 4)).astype(np.float32)
    k = int(rng.integers(1, 9))
    # Few enough to be ranked exactly, in float32 as in float64.
    np.testing.assert_allclose(lof_per_position(rows[None], k)[0], by_definition(rows, k), rtol=1e-5)


def test_identical_images_are_equally_inlying() -> None:
    assert lof_per_position(np.full((2, 300, 16), 0.3, np.float32)) == pytest.approx(1.0)


def test_the_odd_one_out_has_the_largest_factor_and_a_rare_class_looks_odd() -> None:
    X = patches(30, 200, 32)
    X[:, 17] += 25
    factor = lof_per_position(X, 6)
    assert (factor.argmax(axis=1) == 17).all()
    rng = np.random.default_rng(1)
    rare = np.concatenate([rng.normal(size=(1, 90, 32)), 9 + rng.normal(size=(1, 4, 32))], axis=1)
    assert lof_per_position(rare.astype(np.float32), 6)[0, 90:].min() > 1.5


@pytest.mark.parametrize(
    ("positions", "n", "dim", "k"), [(5, 150, 128, 6), (3, 40, 4, 5), (9, 8, 16, 6), (4, 3, 8, 6)]
)
@pytest.mark.parametrize("cells", [1 << 27, 30_000])
def test_factors_of_a_device_equal_scikit_learn(
    positions: int, n: int, dim: int, k: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outliers, "is_gpu", lambda _: True)
    monkeypatch.setattr(device_outliers, "CELLS", cells)
    X = patches(positions, n, dim)
    np.testing.assert_allclose(lof_per_position(X, k), by_scikit_learn(X, k), rtol=1e-6)


def test_a_device_ranks_copies_and_equal_distances_by_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outliers, "is_gpu", lambda _: True)
    # All others are candidates, so that ties go to the lowest index however a device sorts them.
    monkeypatch.setattr(device_outliers, "SPARE", 70)
    for seed in range(10):
        rows = np.random.default_rng(seed).integers(0, 3, size=(70, 4)).astype(np.float32)
        np.testing.assert_allclose(lof_per_position(rows[None], 5)[0], by_definition(rows.astype(float), 5))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_factors_of_an_accelerator_equal_scikit_learn() -> None:
    X = patches(30, 200, 128)
    np.testing.assert_allclose(lof_per_position(X, 6, device="cuda"), by_scikit_learn(X, 6), rtol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 0.85, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quantile_interpolates_as_numpy_does(share: float, dtype: type) -> None:
    for count in (1, 2, 7, 1000):
        values = np.random.default_rng(count).normal(size=count).astype(dtype)
        assert quantile(values, share) == pytest.approx(
            np.quantile(values.astype(np.float64), share), rel=1e-12
        )


def test_quantile_of_more_values_than_torch_takes() -> None:
    values = np.arange(17_000_000, dtype=np.float32)[::-1] / 2
    assert quantile(values.reshape(1000, -1), 0.85) == pytest.approx(0.85 * (17_000_000 - 1) / 2)
