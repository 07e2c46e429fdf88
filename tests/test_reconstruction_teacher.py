"""Targets of reconstruction methods: kept or read again, standardised, projected, at another resolution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.methods.base import View
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.reconstruction import teacher as teacher_module
from ltbench.methods.reconstruction.arrangements import pyramid, resized_side_by_side, side_by_side
from ltbench.methods.reconstruction.classes import NearestCentroid
from ltbench.methods.reconstruction.teacher import Targets, Teacher, TeacherSettings, seen
from tests.small_images import context, image_set, train_images

IMAGES = image_set(train_images({"stripes": 6, "checks": 5}))


def learned(**fields: object) -> tuple[Teacher, Targets]:
    settings = replace(TeacherSettings("desc", (), side_by_side(None)), **fields)
    teacher = Teacher(settings, context())
    return teacher, teacher.learn(IMAGES, np.random.default_rng(0), title="")


def test_targets_read_again_are_those_that_were_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    _, kept = learned(width=7)
    monkeypatch.setattr(teacher_module, "KEPT_BYTES", 0)
    _, streamed = learned(width=7)
    asked = torch.tensor([9, 2, 2, 5])
    assert streamed._kept is None
    assert kept._kept is not None
    (a,), (b,) = kept[asked], streamed[asked]
    assert torch.equal(a, b)


def test_targets_of_training_images_are_those_of_the_same_images_scored() -> None:
    teacher, targets = learned()
    for indices, (maps,) in teacher.batches(IMAGES, title=""):
        assert torch.equal(targets[torch.tensor(indices)][0], maps)


def test_channels_have_no_mean_and_layers_equal_weight() -> None:
    # Without the 3 x 3 mean of `side_by_side`.
    _, targets = learned(arrange=tuple, for_cosines=False)
    flat = targets[torch.arange(11)][0].double().transpose(0, 1).flatten(1)
    assert flat.mean(dim=1).abs().max() < 1e-3
    moving = flat.std(dim=1) > 1e-3
    assert moving.sum() > 20
    np.testing.assert_allclose(flat.std(dim=1)[moving], 1.0, rtol=2e-2)


def test_cosines_see_a_shift_as_large_as_the_features_and_layers_of_equal_weight() -> None:
    """Weak features are then compared by their difference: noise around the mean is not a direction."""
    _, plain = learned(arrange=tuple, for_cosines=False)
    teacher, shifted = learned(arrange=tuple)
    everything = torch.arange(11)
    scaled = plain[everything][0] / 33**0.5
    torch.testing.assert_close(shifted[everything][0], scaled + teacher._shift, atol=5e-3, rtol=0)
    assert teacher._shift == pytest.approx(scaled.square().mean().sqrt().item(), rel=1e-2)
    weak = torch.tensor([0.01, -0.01]) / 33**0.5
    noise, moved = weak[:1].expand(33), weak[1:].expand(33)
    assert 1 - torch.nn.functional.cosine_similarity(noise, moved, dim=0) == 2
    close = torch.nn.functional.cosine_similarity(noise + teacher._shift, moved + teacher._shift, dim=0)
    assert 1 - close < 1e-3


def test_projection_has_orthonormal_columns_and_follows_the_generator() -> None:
    teacher, _ = learned(width=6)
    matrix = teacher._projection
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(6), atol=1e-5, rtol=0)
    again, _ = learned(width=6)
    assert torch.equal(again._projection, matrix)
    assert learned(width=40)[0]._projection is None, "there are only 33 channels"


def test_resolution_changes_and_the_part_of_the_image_does_not() -> None:
    assert seen(View(256, 224), 392) == View(448, 392)
    assert seen(View(448, 392), 224) == View(256, 224)
    assert seen(View(256, 224), None) == View(256, 224)
    _, targets = learned(size=32)
    assert targets[torch.tensor([0])][0].shape == (1, 33, 4, 4)
    with pytest.raises(BadParameter, match="size is 0"):
        learned(size=0)


def test_pyramid_halves_from_map_to_map() -> None:
    maps = torch.randn(2, 3, 16, 16)
    sides = [features.shape[2] for features in pyramid(None)((maps,))]
    assert sides == [16, 8, 4]
    assert [features.shape[2] for features in pyramid(8)((maps,))] == [8, 4, 2]
    three = [torch.randn(2, 3, side, side) for side in (16, 8, 4)]
    assert all(torch.equal(a, b) for a, b in zip(pyramid(None)(three), three, strict=True))


def test_layers_are_joined_on_one_grid_with_corners_aligned() -> None:
    ramp = torch.linspace(0, 1, 9).view(1, 1, 1, 9).expand(1, 1, 9, 9)
    (joined,) = resized_side_by_side(5)((ramp, torch.zeros(1, 2, 5, 5)))
    assert joined.shape == (1, 3, 5, 5)
    torch.testing.assert_close(joined[0, 0, 2], torch.linspace(0, 1, 5))


def test_an_empty_set_and_a_wrong_width_are_refused() -> None:
    with pytest.raises(BadParameter, match="width is 0"):
        learned(width=0)
    teacher = Teacher(TeacherSettings("desc", (), side_by_side(None)), context())
    with pytest.raises(MethodsError, match="training set is empty"):
        teacher.learn(image_set([]), np.random.default_rng(0), title="")


def test_the_nearest_centroid_knows_its_own_classes() -> None:
    _, targets = learned()
    ids = torch.tensor(
        [7 if "stripes" in path else 3 for path in sorted_paths(train_images({"stripes": 6, "checks": 5}))]
    )
    guess = NearestCentroid(targets, ids)
    assert torch.equal(guess(targets[torch.arange(11)]), ids)


def sorted_paths(images: list) -> list[str]:
    return [image.path for image in sorted(images, key=lambda image: image.key)]


def test_transformer_hosts_take_two_groups_of_tokens_and_a_normed_memory(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    from ltbench.methods.dinomaly import Dinomaly

    sizes = {"embed_dim": 24, "depth": 12, "num_heads": 2}
    file = tmp_path / "vit.safetensors"
    save_file(timm.create_model("vit_base_patch14_reg4_dinov2", **sizes).state_dict(), file)
    name = f"timm:vit_base_patch14_reg4_dinov2@{file}?" + "&".join(f"{k}={v}" for k, v in sizes.items())
    method = Dinomaly(backbone=name, size=56, width=None, depth=8, iterations=2)
    host = method.host(IMAGES, context())
    groups = host.targets[torch.tensor([0])]
    assert [features.shape for features in groups] == [(1, 24, 5 + 16)] * 2
    student = host.build()
    assert len(student.blocks) == 8
    assert student.distance(student(groups, None)).shape == (1, 4, 4)
    assert host.memory_vectors(torch.tensor([0, 3]), title="").shape == (2, 4, 4, 24)
    method.fit(IMAGES, context())
    assert method.score(IMAGES, context()).grids.shape == (11, 4, 4)
