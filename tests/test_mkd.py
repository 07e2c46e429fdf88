"""MKD: the student's shape and size, the loss by its formula, gradients by differences, training."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_training import require_exact_resumption
from small_images import context, image_set, judged_images, train_images
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Context
from ltbench.methods.errors import BadParameter
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.layers.slim_student import GuidedRectifier, SlimStudent
from ltbench.methods.mkd import Mkd, _feature_map, _pooled

SMALL = {"backbone": "desc", "size": None, "iterations": 5, "batch_size": 4}
VGG = [(128, 32), (256, 16), (512, 8), (512, 4)]


@pytest.fixture(autouse=True)
def _fixed_draws() -> None:
    torch.manual_seed(0)


def test_the_student_has_the_papers_widths_and_the_teachers_shapes() -> None:
    student = SlimStudent(128, VGG, rectified=True)
    widths = [step.out_channels for stage in student.stages for step in stage]
    assert widths == [16, 16, 16, 128, 16, 16, 256, 16, 16, 512, 16, 16, 512]
    convolutions = sum(9 * before * after for before, after in pairwise([3, *widths]))
    norms = 2 * 16 * (len(widths) - 5)
    assert sum(parameter.numel() for parameter in student.parameters()) == convolutions + norms == 343_984
    answers = student(torch.rand(2, 3, 128, 128))
    assert [(maps.shape[1], maps.shape[2]) for maps in answers] == VGG
    assert min(float(maps.detach().min()) for maps in answers) >= 0
    free = SlimStudent(64, [(8, 8)], rectified=False)(torch.rand(2, 3, 64, 64))
    assert float(free[0].detach().min()) < 0
    with pytest.raises(BadParameter, match="sides 32, 16, 8, 4, the teacher's layers 5"):
        SlimStudent(64, [(8, 5)], rectified=False)


def test_the_loss_is_its_formula() -> None:
    answers = [torch.randn(3, 4, 5, 5), torch.randn(3, 6, 2, 2)]
    targets = [torch.randn(3, 4, 5, 5), torch.randn(3, 6, 2, 2)]
    found = Mkd(value_weight=0.5)._discrepancy(answers, targets)
    for image in range(3):
        expected = 0.0
        for answer, target in zip(answers, targets, strict=True):
            a, t = answer[image].double().numpy().ravel(), target[image].double().numpy().ravel()
            expected += 1 - a @ t / np.linalg.norm(a) / np.linalg.norm(t) + 0.5 * np.mean((a - t) ** 2)
        assert float(found[image]) == pytest.approx(expected, rel=1e-5)


def test_a_guided_gradient_is_positive_or_nothing() -> None:
    values = torch.tensor([-1.0, 2.0, 3.0, -4.0], requires_grad=True)
    out = GuidedRectifier.apply(values)
    assert out.tolist() == [0.0, 2.0, 3.0, 0.0]
    (gradient,) = torch.autograd.grad(out, values, torch.tensor([1.0, -1.0, 5.0, 1.0]))
    assert gradient.tolist() == [0.0, 0.0, 5.0, 0.0]


def fitted(**fields: object) -> Mkd:
    method = catalog.create("mkd", **{**SMALL, **fields})
    method.fit(image_set(train_images()), context())
    return method  # type: ignore[return-value]


def test_the_map_is_the_scores_gradient_at_the_pixels() -> None:
    method = fitted(localisation="gradient")
    method._student.double()
    method._student.zero_grad(set_to_none=True)
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    targets = [torch.randn(2, 33, 8, 8, dtype=torch.float64)]
    _, maps = method._judged(images, targets)
    assert maps.shape == (2, 64, 64)
    step, place = 1e-4, (30, 17)
    expected = 0.0
    for channel in range(3):
        moved = [images.clone(), images.clone()]
        for sign, copy in zip((1, -1), moved, strict=True):
            copy[1, channel, place[0], place[1]] += sign * step
        up, down = (method._judged(copy, targets)[0][1] for copy in moved)
        expected += abs(float(up - down)) / (2 * step)
    assert float(maps[1][place]) == pytest.approx(expected, rel=1e-3)
    assert method._student.guided is False
    assert all(parameter.grad is None for parameter in method._student.parameters())


def test_the_maps_gradient_can_run_through_the_teacher_too() -> None:
    method = fitted(backbone=DEFAULT_BACKBONE, localisation="gradient", map_gradient="both")
    method._student.double()
    method._teacher._extractor.backbone._model.double()
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    scores, maps = method._judged(images, None)
    step, place = 1e-5, (30, 17)
    expected = 0.0
    for channel in range(3):
        moved = [images.clone(), images.clone()]
        for sign, copy in zip((1, -1), moved, strict=True):
            copy[1, channel, place[0], place[1]] += sign * step
        up, down = (method._judged(copy, None)[0][1] for copy in moved)
        expected += abs(float(up - down)) / (2 * step)
    assert float(maps[1][place]) == pytest.approx(expected, rel=1e-3)
    alone, other = method._judged(images, method._teacher.differentiable(images))
    torch.testing.assert_close(alone, scores)
    assert not torch.allclose(other, maps, rtol=0.1)


def test_the_teacher_that_is_followed_answers_as_the_cached_one() -> None:
    method = fitted(backbone=DEFAULT_BACKBONE, localisation="guided", map_gradient="both")
    answer = method.score(image_set(judged_images()), context())
    method.map_gradient = "student"
    cached = method.score(image_set(judged_images()), context())
    np.testing.assert_allclose(answer.scores, cached.scores, rtol=1e-3)
    with pytest.raises(BadParameter, match="backbone 'desc' has no gradient at the pixels"):
        fitted(localisation="guided", map_gradient="both")


def test_feature_maps_add_the_layers_on_the_finest_grid() -> None:
    fine, coarse = (torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)), (torch.randn(2, 6, 4, 4),) * 2
    found = _feature_map([fine, (coarse[0], coarse[0] + 2)])
    expected = ((fine[0] - fine[1]) ** 2).mean(dim=1) + 4
    torch.testing.assert_close(found, expected)
    layer = torch.randn(1, 2, 6, 6)
    torch.testing.assert_close(_pooled([layer])[0], functional.max_pool2d(layer, 2, 2))


@pytest.mark.parametrize("localisation", ["guided", "features"])
def test_spotted_images_score_above_good_ones(localisation: str) -> None:
    method = fitted(localisation=localisation, iterations=60)
    judged = judged_images()
    answer = method.score(image_set(judged), context())
    ordered = sorted(judged, key=lambda image: image.key)
    defective = np.array([bool(image.defect) for image in ordered])
    assert (answer.scores[defective][:, None] > answer.scores[~defective]).mean() > 0.9
    assert answer.grids is not None
    assert answer.grids.shape[1] == (8 if localisation == "features" else 64)


def test_a_killed_training_ends_with_the_same_scores(tmp_path: Path) -> None:
    def scores(shared: Context) -> np.ndarray:
        method = catalog.create("mkd", **SMALL)
        method.fit(image_set(train_images()), shared)
        return method.score(image_set(judged_images()), shared).scores

    require_exact_resumption(scores, context, tmp_path)
