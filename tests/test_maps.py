"""Maps equal interpolation by torch and smoothing by scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from benchmark.maps import anomaly_maps, upsampler

GRIDS = np.random.default_rng(0).random((3, 14, 14), dtype=np.float32) * 7


@pytest.mark.parametrize(
    ("upsample", "options"),
    [
        ("bilinear", {"mode": "bilinear", "align_corners": False}),
        ("bilinear_corners", {"mode": "bilinear", "align_corners": True}),
        ("nearest", {"mode": "nearest"}),
    ],
)
@pytest.mark.parametrize("sigma", [0.0, 1.3, 4.0])
@pytest.mark.parametrize("size", [14, 56, 224, 100])
def test_maps_equal_torch_and_scipy(
    upsample: str, options: dict[str, object], sigma: float, size: int
) -> None:
    wide = torch.nn.functional.interpolate(torch.from_numpy(GRIDS).double()[None], size, **options)[0].numpy()
    expected = [ndimage.gaussian_filter(plane, sigma) if sigma else plane for plane in wide]
    found = anomaly_maps(GRIDS, size, sigma, upsample)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6 * 7)


def test_maps_of_a_wide_grid_are_square() -> None:
    assert anomaly_maps(np.ones((2, 7, 9), np.float32), 64).shape == (2, 64, 64)


@pytest.mark.parametrize("upsample", ["bilinear", "bilinear_corners", "nearest"])
@pytest.mark.parametrize("cells", [1, 2, 28])
def test_a_constant_stays_constant(upsample: str, cells: int) -> None:
    assert upsampler(cells, 50, upsample).sum(axis=1) == pytest.approx(1.0)
    maps = anomaly_maps(np.full((1, cells, cells), 3.0, np.float32), 50, 4.0, upsample)
    np.testing.assert_allclose(maps, 3.0, rtol=1e-6)
