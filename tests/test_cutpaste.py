"""CutPaste: what is pasted where, the shrunk Gaussian against scikit-learn, Grad-CAM, training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_training import require_exact_resumption
from scipy import ndimage
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf
from small_images import context, image_set, judged_images, train_images

from ltbench.methods import catalog
from ltbench.methods.base import Context
from ltbench.methods.blocks.shrinkage import ShrunkGaussian, ledoit_wolf
from ltbench.methods.cutpaste import Teller, variants
from ltbench.methods.layers import trunk
from ltbench.methods.synthesis.pasting import cut_paste, jittered, scarred, turned_piece
from ltbench.methods.synthesis.pixel_bank import PixelBank, pixel_batches, view_of_size

SMALL = {"size": None, "iterations": 5, "batch_size": 4, "head": (16,)}


@pytest.fixture(autouse=True)
def _fixed_draws() -> None:
    torch.manual_seed(0)


def changed(paste: object, side: int, draws: int = 60) -> list[np.ndarray]:
    """Where copies differ from a picture of noise, (side, side) each."""
    image = torch.rand(3, side, side)
    before = image.clone()
    found = []
    for seed in range(draws):
        copy = paste(image, np.random.default_rng(seed))  # type: ignore[operator]
        assert copy.shape == image.shape
        assert float(copy.min()) >= 0
        assert float(copy.max()) <= 1
        found.append((copy != image).any(dim=0).numpy())
    assert torch.equal(image, before)
    return found


def test_a_pasted_patch_is_a_rectangle_of_the_papers_size_and_shape() -> None:
    side = 128
    areas, aspects = [], []
    for mask in changed(cut_paste, side):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.95
        areas.append(height * width / side**2)
        aspects.append(height / width)
    assert min(areas) > 0.018
    assert max(areas) < 0.16
    assert min(aspects) > 0.27
    assert max(aspects) < 3.7
    assert 0.3 < np.mean(np.array(aspects) > 1) < 0.7


@pytest.mark.parametrize("side", [128, 256])
def test_a_scar_is_thin_and_scales_with_the_image(side: int) -> None:
    areas = [mask.sum() * (256 / side) ** 2 for mask in changed(scarred, side)]
    assert min(areas) > 0.6 * 2 * 10 * (side / 256)
    assert max(areas) < 1.15 * 16 * 25
    assert all(ndimage.label(mask, np.ones((3, 3)))[1] <= 3 for mask in changed(scarred, side))


@pytest.mark.parametrize("degrees", [-45.0, -20.0, 0.0, 33.0])
def test_a_turned_piece_lies_where_a_turned_rectangle_does(degrees: float) -> None:
    piece = torch.rand(3, 24, 6)
    found, inside = turned_piece(piece, degrees)
    rows, columns = inside.shape
    angle = np.radians(degrees)
    exact = 24 * np.cos(angle) + 6 * abs(np.sin(angle))
    assert exact - 1e-6 < rows < exact + 2
    assert inside.sum() == pytest.approx(24 * 6, rel=0.06)
    if degrees == 0:
        assert torch.equal(found, piece)
        assert inside.all()
    middle = np.argwhere(inside.numpy()).mean(axis=0)
    np.testing.assert_allclose(middle, [(rows - 1) / 2, (columns - 1) / 2], atol=1e-6)
    # Counterclockwise: the upper end of the long axis moves to the left.
    row, column = np.argwhere(inside.numpy()).T - middle[:, None]
    assert np.sign(np.round((row * column).mean(), 6)) == np.sign(degrees)


def test_jitter_keeps_grey_grey_and_strength_zero_changes_nothing() -> None:
    image = torch.rand(3, 8, 8)
    torch.testing.assert_close(jittered(image, np.random.default_rng(0), 0.0), image)
    grey = torch.full((3, 8, 8), 0.5)
    found = jittered(grey, np.random.default_rng(1))
    assert float((found - found.mean()).abs().max()) < 1e-6
    assert float(found.mean()) != pytest.approx(0.5, abs=1e-4)


def test_every_image_comes_in_three_kinds() -> None:
    images = torch.rand(2, 3, 64, 64)
    found, kinds = variants(images, np.random.default_rng(0))
    assert kinds.tolist() == [0, 0, 1, 1, 2, 2]
    for index in range(2):
        unlike = [(found[index + 2 * kind] != found[index]).any(dim=0).float().mean() for kind in range(3)]
        assert unlike[0] == 0 < unlike[2] < unlike[1] < 0.2


@pytest.mark.parametrize("shape", [(40, 6), (8, 20), (300, 3)])
def test_the_covariance_is_scikit_learns(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=shape) * rng.uniform(0.5, 3, size=shape[1]) + 4
    reference = LedoitWolf().fit(rows)
    np.testing.assert_allclose(ledoit_wolf(rows), reference.covariance_, rtol=1e-10)
    gaussian = ShrunkGaussian(rows, ridge=1e-12)
    asked = rng.normal(size=(5, shape[1]))
    expected = [mahalanobis(row, rows.mean(axis=0), np.linalg.inv(reference.covariance_)) for row in asked]
    np.testing.assert_allclose(gaussian.distance(asked), expected, rtol=1e-6)
    assert np.isfinite(ShrunkGaussian(rows[:1]).distance(asked)).all()


def test_grad_cam_of_a_linear_head_is_its_weighted_maps() -> None:
    model = Teller(trunk.load("resnet18", None), ()).eval()
    model.head = torch.nn.Linear(512, 3)
    with torch.no_grad():
        model.head.bias[:] = torch.tensor([9.0, 0.0, -80.0])
    images = torch.rand(2, 3, 64, 64)
    maps = model.encoder(images)[-1].detach()
    # The third kind is hopeless, so that the odds are the second logit minus the first.
    weight = (model.head.weight[1] - model.head.weight[0]).detach() / maps[0, 0].numel()
    expected = torch.einsum("c,bchw->bhw", weight, maps).clamp_min(0)
    embedded, found = model.explained(images)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(2))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_kept_pixels_and_read_ones_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images, shared = image_set(train_images()), context()
    view = view_of_size(shared.view, 32)
    kept = torch.cat(list(PixelBank(images, view, shared, title="").batches(5)))
    monkeypatch.setattr("ltbench.methods.synthesis.pixel_bank.KEPT_BYTES", 10)
    read = PixelBank(images, view, shared, title="").gather(torch.arange(14))
    assert torch.equal(kept, read)
    assert torch.equal(kept, torch.cat(list(pixel_batches(images, view, shared, title="", batch_size=4))))
    assert kept.shape == (14, 3, 32, 32)


def test_training_lowers_the_loss_and_maps_can_be_left_out() -> None:
    train = image_set(train_images())

    def loss(iterations: int) -> float:
        figures: dict[str, float] = {}
        fields = {**SMALL, "iterations": iterations, "batch_size": 8, "maps": iterations > 1}
        method = catalog.create("cutpaste", **fields)
        method.fit(train, context(figures=figures))
        grids = method.score(image_set(judged_images()), context()).grids
        assert grids.shape == (16, 2, 2) if iterations > 1 else grids is None
        return figures["train_loss"]

    assert loss(40) < 0.97 * loss(1)


def test_a_killed_training_ends_with_the_same_scores(tmp_path: Path) -> None:
    def scores(shared: Context) -> np.ndarray:
        method = catalog.create("cutpaste", **SMALL)
        method.fit(image_set(train_images()), shared)
        return method.score(image_set(judged_images()), shared).scores

    require_exact_resumption(scores, context, tmp_path)
