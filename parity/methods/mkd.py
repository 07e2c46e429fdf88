"""MKD beside the code that its authors released."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from ltbench.methods.base import MapPost
from ltbench.methods.blocks.score_maps import maps_after
from ltbench.methods.layers.slim_student import SlimStudent
from ltbench.methods.mkd import PAPER_SIDE, Mkd
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Plan
from ltbench.methods.training.sampling import Sampler
from parity import mkd_networks as networks
from parity.case import Arrays, Case
from parity.official import Clone, Repository
from parity.pixel_methods import arrays, context, on_cpu
from parity.uniad_family import SPREAD

REPOSITORY = Repository(
    "Knowledge_Distillation_AD", "https://github.com/rohban-lab/Knowledge_Distillation_AD", "0c574ae", "none"
)
STUBS = ("cv2",)
STEPS = 3


# ---- forward, loss, training


def _forward() -> Arrays:
    return _named(networks.student().eval()(networks.images()), networks.answers(networks.images()))


def _official_forward(clone: Clone) -> Arrays:
    teacher, student = networks.official(clone)
    answers, targets = student.eval()(networks.images()), teacher(networks.images())
    # The outputs that their loss takes.
    places = (3, 6, 9, 12)
    return _named([answers[place] for place in places], [targets[place] for place in places])


def _named(answers: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> Arrays:
    student, teacher = (torch.cat([maps.flatten() for maps in side]) for side in (answers, targets))
    return arrays(student=student, teacher=teacher)


def _loss(student: SlimStudent, step: int) -> torch.Tensor:
    images = networks.images(step)
    return networks.method()._discrepancy(student(images), networks.answers(images)).mean()


def _gradients() -> Arrays:
    student = networks.student().train()
    value = _loss(student, 0)
    value.backward()
    return arrays(loss=value, first=student.stages[0][0].weight.grad, last=student.stages[4][2].weight.grad)


def _official_gradients(clone: Clone) -> Arrays:
    teacher, student = networks.official(clone)
    loss = clone.load("loss_functions").MseDirectionLoss(networks.configuration(clone)["lamda"])
    value = loss(student.train()(networks.images()), teacher(networks.images()))
    value.backward()
    kernels = [part.weight for part in student.modules() if isinstance(part, nn.Conv2d)]
    return arrays(loss=value, first=kernels[0].grad, last=kernels[-1].grad)


def _training() -> Arrays:
    student, shared = networks.student(), context(networks.SIDE)
    optimizer = networks.method()._optimizer(student)
    sampler = Sampler(networks.BATCH, networks.BATCH, shared.rng)
    engine.train(
        student, lambda batch: _loss(student, batch.iteration), sampler, optimizer,
        plan=Plan(STEPS), context=shared, title="train",
    )  # fmt: skip
    return arrays(first=student.stages[0][0].weight, last=student.stages[4][2].weight,
                  mean=student.norms[0][0].running_mean)  # fmt: skip


def _official_run(clone: Clone, epochs: int, batches: list[Any]) -> tuple[nn.Module, list[str]]:
    """The authors' own loop, `train` in train.py: the student, and the names of the files that it saves."""
    module, (teacher, student) = clone.load("train", stubs=STUBS), networks.official(clone)
    saved: list[str] = []
    with (
        mock.patch.multiple(
            module, load_data=lambda _: (batches, []), get_networks=lambda _: (teacher, student),
            detection_test=lambda *_: 0.0, Path=mock.Mock(), open=lambda *_: io.BytesIO(), create=True,
        ),
        mock.patch.object(torch, "save", lambda _, name: saved.append(name)),
        on_cpu(), networks.quiet(),
    ):  # fmt: skip
        # Their loop makes one epoch more than it is asked for.
        module.train({**networks.configuration(clone), "num_epochs": epochs})
    return student, saved


def _official_training(clone: Clone) -> Arrays:
    student, _ = _official_run(clone, 0, [(networks.images(step),) for step in range(STEPS)])
    kernels = [part.weight for part in student.modules() if isinstance(part, nn.Conv2d)]
    norms = [part for part in student.modules() if isinstance(part, nn.BatchNorm2d)]
    return arrays(first=kernels[0], last=kernels[-1], mean=norms[0].running_mean)


def _epochs() -> Arrays:
    method = networks.method()
    return {"epochs": np.array([method.epochs], np.int64), "batch": np.array([method.batch_size])}


def _official_epochs(clone: Clone) -> Arrays:
    """Epochs behind the last student that is saved, which is the one that they test."""
    config = networks.configuration(clone)
    _, saved = _official_run(clone, config["num_epochs"], [])
    last = max(int(name.rpartition("_")[2].removesuffix(".pth")) for name in saved)
    return {"epochs": np.array([last + 1]), "batch": np.array([config["batch_size"]])}


def _first() -> Arrays:
    torch.manual_seed(0)
    return _spreads(networks.empty_student())


def _official_first(clone: Clone) -> Arrays:
    torch.manual_seed(1)
    return _spreads(networks.official_student(clone))


def _spreads(student: nn.Module) -> Arrays:
    kernels = [part.weight.detach() for part in student.modules() if isinstance(part, nn.Conv2d)]
    norms = [part.num_features for part in student.modules() if isinstance(part, nn.BatchNorm2d)]
    # The first kernel has too few weights for a spread.
    spreads = [float(kernel.square().mean().sqrt()) for kernel in kernels[1:]]
    return {"norms": np.array(norms), "spreads": np.array(spreads)}


# ---- scores


def _judged(side: int = networks.SIDE, **fields: Any) -> tuple[torch.Tensor, torch.Tensor]:
    method, images = networks.method(**fields), networks.images(side=side)
    method._student = networks.student(side).eval().requires_grad_(False)
    method._teacher = SimpleNamespace(differentiable=networks.answers)
    return method._judged(images, None if method._follows_teacher else networks.answers(images))


def _scores() -> Arrays:
    return arrays(scores=_judged()[0])


def _official_scores(clone: Clone) -> Arrays:
    module, (teacher, student) = clone.load("test_functions", stubs=STUBS), networks.official(clone)
    found: list[Any] = []

    def curve(_: Any, scores: Any, **__: Any) -> tuple[Any, Any, Any]:
        found.append(scores)
        return [0, 1], [0, 1], [0, 1]

    batches = [(networks.images(), torch.zeros(networks.BATCH))]
    with mock.patch.object(module, "roc_curve", curve), on_cpu():
        module.detection_test(student, teacher, batches, networks.configuration(clone))
    return {"scores": found[0]}


def _map(**fields: Any) -> Arrays:
    _, grids = _judged(PAPER_SIDE, **fields)
    # Their maps have the pixels of the images.
    post = MapPost(sigma=networks.method().smoothing)
    return {"gradient": grids.numpy(), "map": maps_after(grids.numpy(), PAPER_SIDE, post)}


def _official_map(clone: Clone, *, guided: bool) -> Arrays:
    """The authors' gradients, and their map before it is scaled to 0 and 1."""
    module, (teacher, student) = clone.load("test_functions", stubs=STUBS), networks.official(clone)
    config = networks.configuration(clone)
    found = []
    for image in networks.images(side=PAPER_SIDE):
        if guided:
            made = module.GuidedBackprop(student, teacher, "cpu")
            gradient = made.generate_gradients(image[None], config, make_single_channel=False)
        else:
            made = module.VanillaSaliency(student, teacher, "cpu", config)
            gradient = made.generate_saliency(image[None], make_single_channel=False)
        found.append(np.abs(np.asarray(gradient)).sum(axis=1)[0])
    maps = np.stack([module.gaussian_filter(one, sigma=4) for one in found])
    return {"gradient": np.stack(found), "map": maps}


def _official_scaled(clone: Clone) -> Arrays:
    module, (teacher, student) = clone.load("test_functions", stubs=STUBS), networks.official(clone)
    guided, batches = module.GuidedBackprop, [(networks.images(side=PAPER_SIDE), None)]

    def on_this_machine(*both: Any) -> Any:
        return guided(*both[:2], "cpu")

    with mock.patch.object(module, "GuidedBackprop", on_this_machine), networks.quiet():
        return {"map": module.gbp_localization(student, teacher, batches, networks.configuration(clone))}


def _case(stage: str, ours: Any, official: Any, tolerance: float = 1e-5, **fields: Any) -> Case:
    return Case("mkd", stage, REPOSITORY, ours, official, tolerance, **fields)


_plain = partial(_map, localisation="gradient")

CASES = (
    _case("forward", _forward, _official_forward),
    _case("loss and gradients", _gradients, _official_gradients, 3e-5),
    _case("training steps", _training, _official_training, 3e-5),
    _case("epochs and batch", _epochs, _official_epochs, 0.0),
    _case("first weights", _first, _official_first, SPREAD),
    _case("image score", _scores, _official_scores),
    # A unit that is as good as 0 passes its gradient on one processor and not on another.
    _case(
        "map", _map, partial(_official_map, guided=True), 3e-5,
        setting="map_gradient='both'", default=partial(_map, map_gradient=Mkd().map_gradient),
        rounding=0.01,
    ),
    _case(
        "map of plain gradients", _plain, partial(_official_map, guided=False), 3e-5,
        setting="map_gradient='both'", default=partial(_plain, map_gradient=Mkd().map_gradient),
        rounding=0.01,
    ),
    _case(
        "map, scaled", lambda: {"map": _map()["map"]}, _official_scaled, is_golden=False,
        declared="Maps of images are not scaled to 0 and 1 each, which would destroy their order.",
    ),
)  # fmt: skip
