"""DRAEM: noise, textures and corruption by their definitions, its networks, similarity, training."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from interrupted_training import require_exact_resumption
from PIL import Image
from scipy import ndimage
from small_images import context, image_set, judged_images, train_images
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Context
from ltbench.methods.draem import corrupted, two_drops
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.layers.unets import Restorer, Segmenter
from ltbench.methods.synthesis import textures
from ltbench.methods.synthesis.perlin import CELLS, blobs, noise
from ltbench.methods.synthesis.textures import CHANGES, TextureSource, generated
from ltbench.methods.training.structural_similarity import dissimilarity

SMALL = {"size": None, "restorer_width": 4, "segmenter_width": 4, "batch_size": 4, "iterations": 4}


def test_noise_is_the_blend_of_its_corners_gradients() -> None:
    rng, cells, shape = np.random.default_rng(5), (2, 4), (10, 12)
    angles = np.random.default_rng(5).uniform(0, 2 * np.pi, size=(3, 5))
    found = noise(shape, cells, rng)

    def fade(t: float) -> float:
        return 6 * t**5 - 15 * t**4 + 10 * t**3

    for i in range(shape[0]):
        for j in range(shape[1]):
            y, x = i * cells[0] / shape[0], j * cells[1] / shape[1]
            expected = 0.0
            for r in (int(y), int(y) + 1):
                for c in (int(x), int(x) + 1):
                    dot = np.cos(angles[r, c]) * (y - r) + np.sin(angles[r, c]) * (x - c)
                    weight = fade(1 - abs(y - r)) * fade(1 - abs(x - c))
                    expected += weight * dot
            assert found[i, j] == pytest.approx(np.sqrt(2) * expected, abs=1e-5)


def test_blobs_are_some_of_the_picture_and_sometimes_nothing() -> None:
    shares = [blobs(64, np.random.default_rng(seed)).mean() for seed in range(80)]
    assert 0.01 < np.mean(shares) < 0.2
    assert min(shares) == 0
    assert max(shares) < 0.7
    assert tuple(2**power for power in range(6)) == CELLS


def test_textures_are_drawn_from_a_folder_or_made_up(tmp_path: Path) -> None:
    (tmp_path / "dots").mkdir()
    Image.new("RGB", (40, 30), (10, 200, 90)).save(tmp_path / "dots" / "one.png")
    for folder in (str(tmp_path), "generated"):
        drawn = TextureSource(folder, 32).draw(np.random.default_rng(0))
        assert drawn.shape == (32, 32, 3)
        assert drawn.dtype == np.uint8
        np.testing.assert_array_equal(drawn, TextureSource(folder, 32).draw(np.random.default_rng(0)))
    with pytest.raises(MethodsError, match=r"expected \.jpg or \.png files"):
        TextureSource(str(tmp_path / "none"), 32)


def test_a_picture_of_textures_shrinks_by_the_nearest_four_pixels(tmp_path: Path) -> None:
    """As OpenCV resizes; Pillow would average all pixels in between."""
    pixels = np.random.default_rng(0).integers(0, 256, size=(30, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    with mock.patch.object(textures, "CHANGES_AT_ONCE", 0):
        found = TextureSource(str(tmp_path), 16).draw(np.random.default_rng(0))
    row, column = (np.arange(16)[:, None] + 0.5) * (30 / 16) - 0.5, (np.arange(16) + 0.5) * (50 / 16) - 0.5
    expected = [
        ndimage.map_coordinates(pixels[..., channel].astype(float), np.broadcast_arrays(row, column), order=1)
        for channel in range(3)
    ]
    assert np.abs(found - np.stack(expected, axis=-1)).max() <= 1


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_every_change_of_a_texture_keeps_its_form_and_some_draw_moves_it(number: int) -> None:
    before = Image.fromarray(generated(24, np.random.default_rng(3)))
    after = [CHANGES[number](before, np.random.default_rng(seed)) for seed in range(6)]
    assert {(picture.size, picture.mode) for picture in after} == {((24, 24), "RGB")}
    assert any(np.asarray(picture).tolist() != np.asarray(before).tolist() for picture in after)


def test_a_blob_of_texture_covers_the_image_by_degree() -> None:
    image, source = torch.full((3, 32, 32), 0.5), TextureSource("generated", 32)
    touched = 0
    for seed in range(60):
        clean, given, mask = corrupted(image, source, np.random.default_rng(seed))
        torch.testing.assert_close(given[:, ~mask], clean[:, ~mask])
        assert 0 <= float(given.min()) <= float(given.max()) <= 1
        # At least a fifth of the texture: the image shines through with at most 0.8.
        assert float((given - clean).abs().max()) <= 1.0
        touched += bool(mask.any())
    assert 12 <= touched <= 40
    turned = [bool((corrupted(image, source, np.random.default_rng(s))[0] == 0).any()) for s in range(60)]
    assert 0.1 < np.mean(turned) < 0.5


def test_the_networks_have_as_many_parameters_as_the_authors() -> None:
    with torch.device("meta"):
        models = (Restorer(128), Segmenter(64))
    assert round(sum(p.numel() for model in models for p in model.parameters()) / 1e6, 1) == 97.4
    images = torch.rand(1, 3, 64, 64)
    assert Restorer(4)(images).shape == (1, 3, 64, 64)
    assert Segmenter(4)(torch.cat([images, images], dim=1)).shape == (1, 2, 64, 64)


def ssim_by_loops(x: np.ndarray, y: np.ndarray, span: float) -> float:
    """Mean over all pixels, with zeros around the images."""
    x, y = (np.pad(image, ((0, 0), (5, 5), (5, 5))) for image in (x, y))
    offset = np.arange(-5, 6)
    line = np.exp(-(offset**2) / (2 * 1.5**2))
    weight = np.outer(line, line) / line.sum() ** 2
    values = []
    for channel in range(x.shape[0]):
        for i in range(x.shape[1] - 10):
            for j in range(x.shape[2] - 10):
                a, b = x[channel, i : i + 11, j : j + 11], y[channel, i : i + 11, j : j + 11]
                p, q = (weight * a).sum(), (weight * b).sum()
                variances = (weight * (a - p) ** 2).sum() + (weight * (b - q) ** 2).sum()
                covariance = (weight * (a - p) * (b - q)).sum()
                small, large = (0.01 * span) ** 2, (0.03 * span) ** 2
                light = (2 * p * q + small) / (p * p + q * q + small)
                values.append(light * (2 * covariance + large) / (variances + large))
    return float(np.mean(values))


@pytest.mark.parametrize(("lowest", "span"), [(0.0, 1.0), (-0.6, 2.0)])
def test_dissimilarity_is_one_minus_ssim(lowest: float, span: float) -> None:
    torch.manual_seed(0)
    y = torch.rand(1, 2, 14, 13, dtype=torch.float64)
    x = (y + 0.3 * torch.randn_like(y)).clamp(0, 1)
    x[0, 0, 5, 5] = lowest
    assert float(dissimilarity(x, y)) == pytest.approx(
        1 - ssim_by_loops(x[0].numpy(), y[0].numpy(), span), abs=1e-6
    )
    assert float(dissimilarity(x, x)) == pytest.approx(0, abs=1e-9)


def test_the_rate_drops_twice() -> None:
    assert [two_drops(100)(step) for step in (0, 79, 80, 89, 90, 99)] == pytest.approx(
        [1, 1, 0.2, 0.2, 0.04, 0.04]
    )


def test_image_scores_are_the_largest_mean_of_a_window() -> None:
    # 28 of 256 pixels are 7 of 64.
    method = catalog.create("draem", **SMALL, pool=28)
    method.fit(image_set(train_images()), context())
    answer = method.score(image_set(judged_images(1)), context())
    assert answer.grids is not None
    assert answer.grids.shape == (4, 64, 64)
    assert 0 <= answer.grids.min() <= answer.grids.max() <= 1
    pooled = functional.avg_pool2d(torch.from_numpy(answer.grids)[:, None], 7, stride=1)
    np.testing.assert_allclose(answer.scores, pooled.amax(dim=(1, 2, 3)).numpy(), rtol=1e-4)
    with pytest.raises(BadParameter, match="size is 48: expected a multiple of 32"):
        catalog.create("draem", size=48).fit(image_set(train_images()), context())


def test_training_lowers_the_loss() -> None:
    def loss(iterations: int) -> float:
        figures: dict[str, float] = {}
        fields = {**SMALL, "iterations": iterations, "learning_rate": 3e-3}
        catalog.create("draem", **fields).fit(image_set(train_images()), context(figures=figures))
        return figures["train_loss"]

    assert loss(40) < 0.9 * loss(1)


def test_a_killed_training_ends_with_the_same_scores(tmp_path: Path) -> None:
    def scores(shared: Context) -> np.ndarray:
        method = catalog.create("draem", **SMALL)
        method.fit(image_set(train_images()), shared)
        return method.score(image_set(judged_images()), shared).scores

    require_exact_resumption(scores, context, tmp_path)
