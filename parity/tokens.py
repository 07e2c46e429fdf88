"""Shared by the cases of hosts on tokens: given tokens in place of a transformer, and runs of our side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from ltbench.benchmark import suites
from ltbench.benchmark.maps import MapsOfGrids
from ltbench.methods import catalog
from ltbench.methods.base import Context, View
from ltbench.methods.reconstruction.arrangements import Maps
from ltbench.methods.reconstruction.hosting import Host, Student, native_objective, train_student
from ltbench.methods.reconstruction.recipes import stable_adamw, token_host
from parity import inputs
from parity.case import Arrays

WIDTH, HEADS, SIDE, PREFIX, IMAGES = 48, 12, 4, 5, 8
LAYERS = list(range(2, 10))
GROUPS = [[0, 1, 2, 3], [4, 5, 6, 7]]
SEED = 7
NAMES = {
    "blocks.": "decoder.", "attention.": "attn.", "gain": "learn_scale", "extractor.": "aggregation.0.",
    "bottleneck.1.": "bottleneck.0.fc1.", "bottleneck.4.": "bottleneck.0.fc2.", "mlp.1.": "mlp.fc1.",
    "mlp.4.": "mlp.fc2.",
}  # fmt: skip
"""Beginnings of our names and what the authors write instead."""


def of_the_suite(name: str, **fields: Any) -> Any:
    """A method as the suite of MeDS on MVTec AD sets it, on given features."""
    (asked,) = [cell for cell in suites.load("meds-mvtec").cells()[:60] if cell.method == name][:1]
    return catalog.create(name, **{**asked.fields, "backbone": "desc", **fields})


class GivenTargets:
    """Targets of training images as they are."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    def __len__(self) -> int:
        return len(self._maps[0])

    def __getitem__(self, indices: torch.Tensor) -> Maps:
        return tuple(layer[indices] for layer in self._maps)


class GivenTeacher:
    """A teacher whose targets are given, for images that are fitted and images that are scored."""

    identity = "given"

    def __init__(self, fitted: Maps, scored: Maps = ()) -> None:
        self._fitted, self._scored = fitted, scored

    def learn(self, images: Any, rng: np.random.Generator, *, title: str) -> GivenTargets:  # noqa: ARG002
        return GivenTargets(self._fitted)

    def batches(self, images: Any, *, title: str) -> Iterator[tuple[tuple[int, ...], Maps]]:  # noqa: ARG002
        yield tuple(range(len(self._scored[0]))), self._scored


class Pictures:
    """Stand-in for an image set of which only the size is used."""

    def __init__(self, count: int) -> None:
        self.keys = tuple(str(number) for number in range(count))
        self.class_ids: Any = None
        self.camera_ids = None

    def __len__(self) -> int:
        return len(self.keys)

    def content_digest(self, index: int) -> str:
        return self.keys[index]


def context(crop: int = 256) -> Context:
    return Context(np.random.default_rng(SEED), View(crop=crop))


def given_host(method: Any, teacher: Any, count: int, crop: int = 256) -> Host:
    """The method's host on given targets."""
    return token_host(method, Pictures(count), context(crop), teacher, build=method.network)  # type: ignore[arg-type]


@cache
def tokens() -> torch.Tensor:
    """(8 blocks, images, tokens, channels)."""
    common = inputs.tensor("common", 1, 1, 1, WIDTH)
    return common + inputs.tensor("tokens", len(LAYERS), IMAGES, PREFIX + SIDE**2, WIDTH)


def grouped() -> Maps:
    """Features that our backbone reads as "tokens.2-5" and "tokens.6-9": (images, C, T)."""
    return tuple(tokens()[group].mean(dim=0).transpose(1, 2) for group in GROUPS)


def renamed(name: str) -> str:
    for own, official in NAMES.items():
        name = name.replace(own, official)
    return name


def filled(method: Any) -> Student:
    """Our student with the weights of the cases."""
    student: Student = method.network(WIDTH, len(GROUPS))
    inputs.fill(student, type(student).__name__)
    return student


@contextmanager
def replayed_dropout() -> Iterator[None]:
    """The same entries are dropped on both sides, wherever they lie in memory: by the number of the call."""
    calls = count()

    def dropped(values: torch.Tensor, p: float = 0.5, training: bool = True, _: bool = False) -> torch.Tensor:
        if not training or p == 0:
            return values
        rng = np.random.Generator(np.random.PCG64(next(calls)))
        kept = torch.from_numpy(rng.random(values.shape) >= p)
        return values * kept / (1 - p)

    with mock.patch("torch.nn.functional.dropout", dropped):
        yield


def walk(weight: nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
    """Steps of an optimizer along gradients that grow, shrink and turn."""
    for step in range(30):
        weight.grad = inputs.tensor(f"gradient {step}", *weight.shape, scale=10.0 ** (step % 5 - 3))
        optimizer.step()


def pairs() -> dict[str, Maps]:
    """Features of two groups and their reconstructions: two images of 28 x 28 patches."""
    targets = tuple(inputs.tensor(f"target {group}", 2, 4, 28, 28) for group in (0, 1))
    noise = (inputs.tensor(f"noise {group}", 2, 4, 28, 28, scale=0.5) for group in (0, 1))
    return {"targets": targets, "outputs": tuple(a + b for a, b in zip(targets, noise, strict=True))}


def rebuilt(method: Any) -> Arrays:
    """Distances of all images, and the auxiliary loss."""
    student = filled(method).eval()
    with torch.no_grad():
        answer = student(grouped(), None)
    return {"distance": student.distance(answer).numpy(), "extra": answer.extra.numpy()}


def losses(method: Any, moments: Sequence[float], watched: Sequence[str]) -> Arrays:
    """Loss and gradients of the watched weights at shares of the training."""
    student = filled(method).train()
    answers: dict[str, Any] = {}
    for number, moment in enumerate(moments):
        student.zero_grad()
        with replayed_dropout():
            loss = student.loss(student(grouped(), None), moment)
        loss.backward()
        answers[f"loss {number}"] = loss.detach().numpy()
        for name in watched:
            answers[f"{renamed(name)} {number}"] = student.get_parameter(name).grad.numpy()
    return answers


def trained(method: Any, steps: int) -> Arrays:
    """Distances after a training in the method's own way, a tenth of whose steps are the warm-up."""
    host = given_host(method, GivenTeacher(grouped()), IMAGES)
    student = filled(method)
    with replayed_dropout():
        train_student(host, student, native_objective(student), context(), title="train", iterations=steps)
    with torch.no_grad():
        return {"distance": student.distance(student(grouped(), None)).numpy()}


def rates(method: Any) -> Arrays:
    """Learning rate at each of 10 000 steps."""
    host = given_host(method, GivenTeacher(grouped()), IMAGES)
    schedule = host.schedule(10_000)
    return {"rates": np.array([method.learning_rate * schedule(step) for step in range(10_000)])}


def stepped(method: Any) -> Arrays:
    """A weight after steps along given gradients."""
    layer = nn.Linear(6, 5, bias=False)
    inputs.fill(layer, "steps")
    walk(layer.weight, stable_adamw(layer, method.learning_rate, method.weight_decay))
    return {"weight": layer.weight.detach().numpy()}


def mapped(method: Any) -> Arrays:
    """Maps of 256 x 256 pixels and scores of images whose features and reconstructions are given."""
    student = filled(method)
    host = given_host(method, GivenTeacher(grouped()), IMAGES)
    answer = host.predict(student.distance(SimpleNamespace(**pairs())).numpy())  # type: ignore[arg-type]
    assert answer.grids is not None
    return {"map": np.asarray(MapsOfGrids(answer.grids, 256, answer.post)), "score": answer.scores}
