"""RegAD: warps and their inverses, copies of supports, the Siamese loss by loops, Gaussians, training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_training import require_exact_resumption
from scipy.spatial.distance import mahalanobis
from small_images import context, image_set, judged_images, train_images
from torch import nn
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Context
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.layers import trunk
from ltbench.methods.layers.registration import (
    RegisteredPyramid,
    Siamese,
    SpatialTransformer,
    inverse,
    warped,
)
from ltbench.methods.regad import RegAD, companions, cosine_by_pass, spread
from ltbench.methods.synthesis.support import ANGLES, COPIES, SHIFTS, copies
from ltbench.methods.training.grouped import GroupedSampler

SMALL = {"size": None, "grid": 4, "iterations": 4, "batch_size": 4}
NEEDS = RegAD.needs


@pytest.fixture(autouse=True)
def _fixed_draws() -> None:
    torch.manual_seed(0)


def thetas(angles: list[float]) -> torch.Tensor:
    rows = [[[np.cos(a), -np.sin(a), 0.0], [np.sin(a), np.cos(a), 0.0]] for a in angles]
    return torch.tensor(rows, dtype=torch.float32)


def test_at_first_a_transformer_changes_nothing_and_then_it_turns_and_scales() -> None:
    layer, maps = SpatialTransformer(5, 14).eval(), torch.randn(2, 5, 14, 14)
    same, theta = layer(maps)
    torch.testing.assert_close(same, maps, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        layer.tell[-1].bias.copy_(torch.tensor([0.3, 1.2, 0.9]))
    _, theta = layer(maps)
    expected = [[1.2 * np.cos(0.3), -np.sin(0.3), 0.0], [np.sin(0.3), 0.9 * np.cos(0.3), 0.0]]
    np.testing.assert_allclose(theta[1].detach().numpy(), expected, rtol=1e-5)


def test_a_warp_by_a_quarter_turn_is_a_rotation_and_its_inverse_undoes_it() -> None:
    maps = torch.randn(2, 3, 8, 8)
    quarter = warped(maps, thetas([np.pi / 2] * 2))
    torch.testing.assert_close(quarter, torch.rot90(maps, 1, (2, 3)), atol=1e-5, rtol=1e-4)
    theta = thetas([0.4, -0.2]) * torch.tensor([1.3, 1.0, 1.0])
    point = torch.tensor([0.3, -0.5])
    for one, back in zip(theta, inverse(theta), strict=True):
        there = one[:, :2] @ point + one[:, 2]
        torch.testing.assert_close(back[:, :2] @ there + back[:, 2], point)
    smooth = functional.interpolate(torch.randn(2, 3, 4, 4), size=(32, 32), mode="bicubic")
    again = warped(warped(smooth, thetas([0.2, -0.1])), inverse(thetas([0.2, -0.1])))
    inner = (slice(None), slice(None), slice(8, 24), slice(8, 24))
    torch.testing.assert_close(again[inner], smooth[inner], atol=0.05, rtol=0.05)


def test_an_untrained_pyramid_embeds_the_trunks_maps_side_by_side() -> None:
    backbone = trunk.load("resnet18", None)
    images = torch.rand(2, 3, 64, 64)
    found = RegisteredPyramid(backbone, 64).eval().embed(images)
    finest = backbone(images)[:3]
    maps = [functional.interpolate(layer, size=(16, 16), mode="nearest") for layer in finest]
    torch.testing.assert_close(found, torch.cat(maps, dim=1), atol=1e-4, rtol=1e-3)


def test_maps_are_warped_back_by_all_thetas_before_them() -> None:
    """A trunk that passes images on, quarter turns and a mirror, whose order matters: all comes back."""
    backbone = trunk.load("resnet18", None)
    pyramid = RegisteredPyramid(backbone, 64).eval()
    backbone.stem, backbone.stages = nn.Identity(), nn.ModuleList([nn.Identity()] * 3)
    pyramid.place = nn.ModuleList(SpatialTransformer(3, 16).eval() for _ in range(3))
    told = [(np.pi / 2, 1.0, 1.0), (0.0, -1.0, 1.0), (np.pi / 2, 1.0, 1.0)]
    images = torch.rand(1, 3, 16, 16)
    seen = (images - backbone.mean) / backbone.std
    with torch.no_grad():
        for place, parameters in zip(pyramid.place, told, strict=True):
            place.tell[-1].bias.copy_(torch.tensor(parameters))
        found, (turned, _) = pyramid.embed(images), pyramid(images)
    torch.testing.assert_close(turned[1], torch.rot90(seen, 1, (2, 3)).flip(3), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found, torch.cat([seen] * 3, dim=1), atol=1e-3, rtol=1e-3)


def test_the_siamese_loss_is_its_formula_and_its_targets_are_constant() -> None:
    head, maps, others = Siamese(32).eval(), torch.randn(2, 32, 3, 3), torch.randn(2, 32, 3, 3)
    with torch.no_grad():
        loss = float(head(maps, others))
        first, second = head.encode(maps), head.encode(others)
        ahead, back = head.predict(first), head.predict(second)
    total = []
    for b in range(2):
        for i in range(3):
            for j in range(3):
                p1, z2 = ahead[b, :, i, j].numpy(), second[b, :, i, j].numpy()
                p2, z1 = back[b, :, i, j].numpy(), first[b, :, i, j].numpy()
                total.append(p1 @ z2 / np.linalg.norm(p1) / np.linalg.norm(z2))
                total.append(p2 @ z1 / np.linalg.norm(p2) / np.linalg.norm(z1))
    assert loss == pytest.approx(-np.mean(total), rel=1e-4)
    nn.init.zeros_(head.predict[-1].weight)
    head(maps, others).backward()
    # Nothing reaches the encoder but through the predictor, whose last layer is blind here.
    assert not any(
        parameter.grad.any() for parameter in head.encode.parameters() if parameter.grad is not None
    )


def test_a_support_has_22_copies() -> None:
    image = torch.rand(3, 40, 40)
    found = copies(image)
    assert found.shape == (22, 3, 40, 40)
    assert len(found) == COPIES == 1 + len(ANGLES) + len(SHIFTS) + 5
    assert torch.equal(found[0], image)
    assert len({tuple(copy.flatten().tolist()) for copy in found}) == 22
    for number, (across, down) in enumerate(SHIFTS):
        # An image is two long: 0.2 is a tenth of its 40 pixels, by which what is read moves on.
        rolled = torch.roll(image, (round(-20 * down), round(-20 * across)), (1, 2))
        shifted = found[1 + len(ANGLES) + number]
        torch.testing.assert_close(shifted[:, 10:30, 10:30], rolled[:, 10:30, 10:30], atol=1e-4, rtol=1e-3)
    assert torch.equal(found[17], image.flip(2))
    assert torch.equal(found[18][0], found[18][1])
    assert torch.equal(found[20], torch.rot90(image, 2, (1, 2)))


def test_an_image_is_trained_beside_others_of_its_product() -> None:
    rng = np.random.default_rng(0)
    drawn = [companions(np.array([3, 5, 8]), 5, 2, rng).tolist() for _ in range(20)]
    assert {tuple(sorted(pair)) for pair in drawn} == {(3, 3), (3, 8), (8, 8)}
    assert companions(np.array([3, 5]), 5, 4, rng).tolist() == [3] * 4


def test_a_batch_shows_images_of_one_product_and_a_pass_shows_each_once() -> None:
    groups = [np.arange(5), np.array([7, 9]), np.arange(20, 29)]
    sampler = GroupedSampler(groups, 4, np.random.default_rng(0))
    assert sampler.batches_per_pass() == 2 + 1 + 3
    passes = [[sampler.next().tolist() for _ in range(6)] for _ in range(2)]
    for batches in passes:
        assert sorted(map(len, batches)) == [1, 1, 2, 4, 4, 4]
        shown = sorted(image for batch in batches for image in batch)
        assert shown == np.concatenate(groups).tolist()
        assert all(any(set(batch) <= set(group.tolist()) for group in groups) for batch in batches)
    assert passes[0] != passes[1]
    again = GroupedSampler(groups, 4, np.random.default_rng(9))
    sampler.next()
    again.load_state_dict(sampler.state_dict())
    assert [again.next().tolist() for _ in range(9)] == [sampler.next().tolist() for _ in range(9)]


def test_where_epochs_are_given_the_rate_falls_from_epoch_to_epoch() -> None:
    schedule = cosine_by_pass(4, 3)
    expected = [(1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in (1, 2, 3, 4) for _ in range(3)]
    assert [schedule(step) for step in range(12)] == pytest.approx(expected)
    assert expected[-1] == 0


def fitted(sizes: dict[str, int], **fields: object) -> RegAD:
    method = catalog.create("regad", **{**SMALL, **fields})
    method.fit(image_set(train_images(sizes), NEEDS), context(needs=NEEDS))
    return method  # type: ignore[return-value]


def test_scores_are_distances_to_the_supports_of_the_own_product() -> None:
    method = fitted({"stripes": 5, "checks": 3}, standardise=False, ridge=0.05)
    judged = judged_images(2)
    answer = method.score(image_set(judged, NEEDS), context())
    assert answer.grids is not None
    ordered = sorted(judged, key=lambda image: image.key)
    test = image_set(judged, NEEDS)
    for place in (0, 5):
        pixels = torch.from_numpy(test[place].transpose(2, 0, 1).astype(np.float32) / 255)
        vector = method._embedded(pixels[None])[0, 2, 1].astype(np.float64)
        product = sorted({"stripes", "checks"}).index(ordered[place].category)
        rows = method._supports[product][:, 2, 1].astype(np.float64)
        assert len(rows) == 2 * 22
        covariance = np.cov(rows, rowvar=False) + 0.05 * np.eye(rows.shape[1])
        expected = mahalanobis(vector, rows.mean(axis=0), np.linalg.inv(covariance))
        assert answer.grids[place, 2, 1] == pytest.approx(expected, rel=1e-3)


def test_spotted_images_score_above_good_ones_of_their_product() -> None:
    judged = judged_images()
    scores = fitted({"stripes": 8, "checks": 4}, grid=8).score(image_set(judged, NEEDS), context()).scores
    ordered = sorted(judged, key=lambda image: image.key)
    for product in ("stripes", "checks"):
        good = [s for s, i in zip(scores, ordered, strict=True) if i.category == product and not i.defect]
        bad = [s for s, i in zip(scores, ordered, strict=True) if i.category == product and i.defect]
        assert np.mean(np.array(bad)[:, None] > good) > 0.9


def test_a_channel_that_lies_still_in_one_products_supports_has_the_scale_of_all() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    still = rows.copy()
    still[:, 1] = 0.5
    parts = [still.reshape(4, 2, 5, 3), (rows * 3).reshape(4, 2, 5, 3)]
    found = spread(parts)
    np.testing.assert_allclose(found, np.concatenate([still, rows * 3]).std(axis=0), rtol=1e-5)
    assert found[1] > 1
    assert spread([np.ones((2, 1, 1, 1), np.float32)]).tolist() == [1.0]


def test_a_product_without_a_training_image_is_an_error() -> None:
    method = fitted({"stripes": 3})
    with pytest.raises(MethodsError, match="has no training image"):
        method.score(image_set(judged_images(1, ("checks",)), NEEDS), context())
    with pytest.raises(BadParameter, match="size is 32: expected more than 32 pixels"):
        fitted({"stripes": 3}, size=32)


def test_a_single_image_may_be_the_last_batch_of_a_product() -> None:
    fitted({"stripes": 5, "checks": 2}, size=33, epochs=2, iterations=0)


def test_a_killed_training_ends_with_the_same_scores(tmp_path: Path) -> None:
    def scores(shared: Context) -> np.ndarray:
        method = catalog.create("regad", **SMALL)
        method.fit(image_set(train_images(), NEEDS), shared)
        return method.score(image_set(judged_images(2), NEEDS), shared).scores

    require_exact_resumption(scores, lambda: context(needs=NEEDS), tmp_path)
