"""Gaussians per position against numpy.cov and scipy's Mahalanobis distance, one position at a time."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from ltbench.methods.blocks.gaussians import GaussianField
from ltbench.methods.errors import BadParameter, MethodsError


def vectors(n: int, positions: int, dim: int, seed: int = 0, offset: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(positions, dim, dim))
    return (np.einsum("npd,pde->npe", rng.normal(size=(n, positions, dim)), mix) + offset).astype(np.float32)


def fitted(train: np.ndarray, batch: int = 7, **options: object) -> GaussianField:
    field = GaussianField(**options)
    for low in range(0, len(train), batch):
        field.add(train[low : low + batch])
    field.finish()
    return field


def reference(train: np.ndarray, test: np.ndarray, ridge: float) -> np.ndarray:
    train, test = train.astype(np.float64), test.astype(np.float64)
    out = np.empty(test.shape[:2])
    for p in range(train.shape[1]):
        inverse = np.linalg.inv(np.cov(train[:, p], rowvar=False) + ridge * np.eye(train.shape[2]))
        out[:, p] = [mahalanobis(x, train[:, p].mean(0), inverse) for x in test[:, p]]
    return out


@pytest.mark.parametrize(
    ("n", "dim"), [(40, 5), (12, 30), (2, 4)], ids=["full rank", "more dims than images", "two"]
)
def test_distance_is_that_of_scipy(n: int, dim: int) -> None:
    train, test = vectors(n, 6, dim), vectors(9, 6, dim, seed=1)
    found = fitted(train, ridge=0.01).distance(test)
    np.testing.assert_allclose(found, reference(train, test, 0.01), rtol=1e-5)


def test_batches_do_not_change_the_fit_and_large_offsets_do_not_cancel() -> None:
    train, test = vectors(50, 4, 6, offset=1e4), vectors(5, 4, 6, seed=1, offset=1e4)
    expected = reference(train, test, 0.01)
    for batch in (1, 7, 50):
        np.testing.assert_allclose(fitted(train, batch, ridge=0.01).distance(test), expected, rtol=1e-5)


def test_of_one_image_only_the_ridge_is_left() -> None:
    train, test = vectors(1, 3, 4), vectors(5, 3, 4, seed=1)
    expected = np.linalg.norm(test - train, axis=2) / np.sqrt(0.04)
    np.testing.assert_allclose(fitted(train, ridge=0.04).distance(test), expected, rtol=1e-5)


def test_standardised_fit_is_the_fit_of_standardised_vectors_and_ignores_units() -> None:
    train, test = vectors(30, 5, 4), vectors(6, 5, 4, seed=1)
    scale = train.astype(np.float64).std(axis=(0, 1))
    expected = fitted((train / scale).astype(np.float32)).distance((test / scale).astype(np.float32))
    np.testing.assert_allclose(fitted(train, standardise=True).distance(test), expected, rtol=1e-4)
    units = np.array([1, 1000, 1e-3, 7], np.float32)
    scaled = fitted(train * units, standardise=True).distance(test * units)
    np.testing.assert_allclose(scaled, expected, rtol=1e-4)


def test_a_dimension_that_never_moves_is_no_obstacle() -> None:
    train = vectors(20, 3, 4)
    train[..., 2] = 5
    for standardise in (False, True):
        distance = fitted(train, standardise=standardise).distance(train)
        assert np.isfinite(distance).all()


def test_the_fit_does_not_hold_on_to_its_input() -> None:
    train, test = vectors(10, 3, 4), vectors(4, 3, 4, seed=1)
    field = GaussianField()
    copy = train.copy()
    field.add(copy)
    copy[:] = 0
    field.finish()
    np.testing.assert_array_equal(field.distance(test), fitted(train, 10).distance(test))


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(BadParameter, match="ridge is 0"):
        GaussianField(0)
    with pytest.raises(MethodsError, match="training set is empty"):
        GaussianField().finish()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_an_accelerator_gives_the_same_distances() -> None:
    train, test = vectors(12, 6, 30), vectors(9, 6, 30, seed=1)
    here = fitted(train, standardise=True).distance(test)
    there = fitted(train, standardise=True, device="cuda").distance(test)
    np.testing.assert_allclose(there, here, rtol=1e-6)
