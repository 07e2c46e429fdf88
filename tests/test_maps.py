"""Maps equal interpolation by torch and smoothing by scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from ltbench.benchmark.maps import MapsOfGrids, anomaly_maps, upsampler
from ltbench.methods.base import MapPost
from ltbench.methods.reconstruction.judging import top_of_map

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


def kernel_of_5_by_5() -> torch.Tensor:
    """The Gaussian of deviation 4 on 25 pixels, with sum 1."""
    squares = (torch.arange(5.0) - 2).square()
    kernel = torch.exp(-(squares[:, None] + squares[None]) / 32)
    return (kernel / kernel.sum())[None, None]


def smoothed_by_zero_padding(maps: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.conv2d(maps, kernel_of_5_by_5(), padding=2)


def test_a_border_of_zeros_equals_a_padded_convolution_and_darkens_the_rim() -> None:
    """Dinomaly's and INP-Former's map: over the image's size to 256 x 256, then 5 x 5 pixels."""
    grids = torch.from_numpy(GRIDS)[:, None]
    wide = torch.nn.functional.interpolate(grids, 392, mode="bilinear", align_corners=True)
    wide = torch.nn.functional.interpolate(wide, 256, mode="bilinear", align_corners=False)
    expected = smoothed_by_zero_padding(wide)[:, 0].numpy()
    found = np.asarray(MapsOfGrids(GRIDS, 256, MapPost(4.0, "bilinear_corners", "zero", 2, 392)))
    np.testing.assert_allclose(found, expected, atol=1e-6 * 7)
    flat = np.asarray(MapsOfGrids(np.ones((1, 4, 4), np.float32), 256, MapPost(4.0, border="zero", radius=2)))
    assert flat[0, 128, 128] == pytest.approx(1)
    assert flat[0, 0, 128] == pytest.approx(0.61, abs=0.01)
    assert flat[0, 0, 0] == pytest.approx(0.37, abs=0.01)


def test_images_are_scored_by_the_map_that_the_record_describes() -> None:
    answer = top_of_map(GRIDS, 1.0, 4.0, 256, via=392)
    maps = np.asarray(MapsOfGrids(GRIDS, 256, answer.post))
    expected = np.sort(maps.reshape(3, -1), axis=1)[:, -655:].mean(axis=1)
    np.testing.assert_allclose(answer.scores, expected, rtol=1e-6)
    smaller = top_of_map(GRIDS, 1.0, 4.0, 224, via=392).post
    assert smaller == MapPost(3.5, "bilinear_corners", "zero", 2, 392)


def test_a_record_of_an_older_version_still_says_how_its_maps_are_made() -> None:
    assert MapPost(**{"sigma": 4.0, "upsample": "bilinear"}) == MapPost()
