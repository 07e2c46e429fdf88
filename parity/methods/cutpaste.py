"""CutPaste beside a public reimplementation: its authors released no code."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from ltbench.methods import cutpaste
from ltbench.methods.blocks.shrinkage import ShrunkGaussian
from ltbench.methods.cutpaste import CutPaste, Teller
from ltbench.methods.layers import trunk
from ltbench.methods.synthesis.pasting import cut_paste, jittered, scarred
from parity import inputs
from parity.case import Arrays, Case
from parity.official import Clone, Repository
from parity.pixel_methods import Shares, arrays, context, image_set, loss_alone, on_cpu, recorded, scaled

REPOSITORY = Repository("pytorch-cutpaste", "https://github.com/Runinho/pytorch-cutpaste", "10d8bf7", "none")
SIDE, PAPER_SIDE, STEPS = 64, 256, 3
HEAD = CutPaste().head
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation to which the reimplementation brings its images."""


def _teller(encoder: trunk.Trunk | None = None, *_: Any) -> Teller:
    encoder = encoder or trunk.load("resnet18", None)
    return inputs.fill(Teller(encoder, HEAD), "teller")  # type: ignore[return-value]


def _projection(clone: Clone) -> nn.Module:
    found = clone.load("model").ProjectionNet(pretrained=False, head_layers=[*HEAD, 128], num_classes=3)
    inputs.hand_over(_teller(), found, _official_name)
    return found


def _official_name(name: str) -> str:
    part, *rest = name.split(".")
    if part == "head":
        last = 3 * (len(HEAD) + 1)
        return f"out.{rest[-1]}" if int(rest[0]) == last else name
    _, stage, *rest = rest if rest[0] == "stages" else ("", *rest)
    if name.startswith("encoder.stem"):
        return f"resnet18.{('conv1', 'bn1')[int(rest[0])]}.{rest[-1]}"
    return f"resnet18.layer{int(stage) + 1}.{'.'.join(rest)}"


def _normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(channels).view(3, 1, 1) for channels in IMAGENET)
    return (images - mean) / std


# ---- what is pasted

PATCHES = ((0.2, 0.3, 0.4, 0.9), (0.99, 0.05, 0.1, 0.6))
"""Shares of the ranges of area, aspect, and the upper left corner of the piece."""
SCARS = ((0.2, 0.85, 0.4, 0.8, 0.3), (0.9, 0.4, 0.1, 0.6, 0.95))
"""Shares of the ranges of width, length, the upper left corner of the piece, and its turn."""
UNCHANGED = (0.5, 0.5, 0.5, 0.5)
"""Brightness, contrast, saturation and hue in the middle of their ranges."""
TARGET = (0.7, 0.2)


def _picture() -> Any:
    return inputs.images("cutpaste", 1, PAPER_SIDE)[0]


def pasting() -> Arrays:
    image = scaled(image_set(_picture()[None]))[0]
    found = {}
    for number, (patch, scar) in enumerate(zip(PATCHES, SCARS, strict=True)):
        drawn: list[Any] = [
            Shares(*patch, *UNCHANGED, *TARGET),
            Shares(*scar[:4], *UNCHANGED, scar[4], 0.0, 0.0),
        ]
        found[f"patch {number}"] = cut_paste(image, drawn[0])
        found[f"scar {number}"] = scarred(image, drawn[1])
    return arrays(**{name: (value - image)[:, ::2, ::2] for name, value in found.items()})


def official_pasting(clone: Clone) -> Arrays:
    module, picture = clone.load("cutpaste"), Image.fromarray(_picture())
    found = {}
    for number, (patch, scar) in enumerate(zip(PATCHES, SCARS, strict=True)):
        found[f"patch {number}"] = _pasted(module, module.CutPasteNormal, picture, (*patch, *TARGET))
        # Its range of rows has the width of a scar in place of the height: both sides take the first row.
        found[f"scar {number}"] = _pasted(module, module.CutPasteScar, picture, (*scar, 0.0, 0.0))
    before = np.asarray(picture, np.float32) / 255
    return {
        name: ((np.asarray(value, np.float32) / 255) - before).transpose(2, 0, 1)[:, ::2, ::2]
        for name, value in found.items()
    }


def _pasted(module: ModuleType, kind: Any, picture: Any, shares: tuple[float, ...]) -> Any:
    drawn = Shares(*shares)
    paste = kind()
    paste.colorJitter = None

    def uniform_(tensor: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return tensor.fill_(drawn.uniform(float(low), float(high)))

    with (
        mock.patch.object(module, "random", drawn),
        mock.patch.object(torch.Tensor, "uniform_", uniform_),
    ):
        return paste(picture)[1]


JITTERS = ((0.1, 0.8, 0.9, 0.2), (0.95, 0.3, 0.05, 0.85))


def colours() -> Arrays:
    image = scaled(image_set(inputs.images("cutpaste", 1, SIDE)))[0]
    drawn: list[Any] = [Shares(*shares) for shares in JITTERS]
    return arrays(**{str(number): jittered(image, shares) for number, shares in enumerate(drawn)})


def official_colours(clone: Clone) -> Arrays:
    jitter = clone.load("cutpaste").CutPaste().colorJitter
    image = scaled(image_set(inputs.images("cutpaste", 1, SIDE)))[0]
    found = {}
    for number, shares in enumerate(JITTERS):

        def drawn(*ranges: tuple[float, float], shares: tuple[float, ...] = shares) -> Any:
            draw = Shares(*shares)
            return torch.arange(4), *(draw.uniform(*bounds) for bounds in ranges)

        with mock.patch.object(jitter, "get_params", drawn):
            found[str(number)] = jitter(image)
    return arrays(**found)


# ---- network, training and scores


def forward() -> Arrays:
    model, images = _teller().eval(), scaled(image_set(inputs.images("cutpaste", 3, SIDE)))
    return arrays(logits=model(images), embedding=model.embed(images)[1])


def official_forward(clone: Clone) -> Arrays:
    model = _projection(clone).eval()
    embedding, logits = model(_normalised(scaled(image_set(inputs.images("cutpaste", 3, SIDE)))))
    return arrays(logits=logits, embedding=functional.normalize(embedding, p=2, dim=1))


def _variants() -> torch.Tensor:
    """Three variants of two images, (6, 3, SIDE, SIDE)."""
    return scaled(image_set(inputs.images("variants", 6, SIDE)))


def _late_cosine(step: int) -> float:
    return (1 + math.cos(math.pi * max(0, step - 1) / STEPS)) / 2


def _fitted() -> None:
    kinds = torch.arange(3).repeat_interleave(2)
    images = image_set(inputs.images("cutpaste", 2, SIDE))
    with (
        mock.patch.object(cutpaste, "Teller", _teller),
        mock.patch.object(cutpaste, "variants", side_effect=lambda *_: (_variants(), kinds)),
        # That code's cosine comes one step late, and would reach 0 after the last one.
        mock.patch.object(cutpaste, "warm_cosine", side_effect=lambda _: _late_cosine),
    ):
        CutPaste(encoder="resnet18", train_norms=True, learning_rate=0.03, size=None, iterations=STEPS).fit(
            images, context(SIDE)
        )


def loss_and_gradients() -> Arrays:
    with loss_alone() as found:
        _fitted()
    model = found["model"]
    return arrays(
        loss=found["loss"], first=model.encoder.stem[0].weight.grad, last=model.head[-1].weight.grad
    )


def training() -> Arrays:
    with recorded(torch.optim.SGD) as steps:
        _fitted()
    return {name: np.array(values, np.float32) for name, values in steps.items()}


def official_loss_and_gradients(clone: Clone) -> Arrays:
    model = _projection(clone)
    # One step, whose gradients stay.
    steps = _run(clone, model, 1)
    first, last = model.resnet18.conv1.weight.grad, model.out.weight.grad
    return arrays(loss=steps["loss"][0], first=first, last=last)


def official_training(clone: Clone) -> Arrays:
    steps = _run(clone, _projection(clone), STEPS)
    return {name: np.array(values, np.float32) for name, values in steps.items()}


def _run(clone: Clone, model: nn.Module, steps: int) -> dict[str, list[float]]:
    stubs = ("torch.utils.tensorboard", "matplotlib", "matplotlib.pyplot", "pandas", "joblib", "tqdm")
    import sklearn.manifold  # noqa: F401  asks for joblib itself

    module = clone.load("run_training", stubs=stubs)
    replaced = {
        "ProjectionNet": lambda **_: model,
        "MVTecAT": lambda *_, **__: [],
        "Repeat": lambda *_: [],
        "DataLoader": lambda *_, **__: [_normalised(_variants()).split(2)],
        "SummaryWriter": lambda *_: SimpleNamespace(add_scalar=lambda *_: None),
        "tqdm": iter,
    }
    with ExitStack() as stack:
        stack.enter_context(on_cpu())
        stack.enter_context(mock.patch.object(torch, "save"))
        found = stack.enter_context(recorded(torch.optim.SGD))
        for name, value in replaced.items():
            stack.enter_context(mock.patch.object(module, name, value))
        # As the command line calls it.
        module.run_training(
            "part", model_dir=Path(), epochs=steps, pretrained=False, test_epochs=-1, optim_name="sgd",
            learninig_rate=0.03, head_layer=1, cutpate_type=module.CutPaste3Way, device="cpu", size=SIDE,
        )  # fmt: skip
    return found


def _embedded(name: str, count: int) -> torch.Tensor:
    """Embeddings at length 1 around a common one."""
    return functional.normalize(
        inputs.tensor("middle", 24) + inputs.tensor(name, count, 24, scale=0.3), dim=1
    )


def scores() -> Arrays:
    gaussian = ShrunkGaussian(_embedded("train", 40).numpy())
    return {"scores": gaussian.distance(_embedded("test", 9).numpy()).astype(np.float32)}


def official_scores(clone: Clone) -> Arrays:
    gaussian = clone.load("density").GaussianDensityTorch()
    gaussian.fit(_embedded("train", 40))
    return arrays(scores=gaussian.predict(_embedded("test", 9)))


def _case(stage: str, ours: Any, official: Any, **fields: Any) -> Case:
    return Case("cutpaste", stage, REPOSITORY, ours, official, **fields)


CASES = (
    _case("pasting", pasting, official_pasting),
    # torchvision's red weighs 0.2989 in a grey level, Pillow's and ours 0.299.
    _case("colours", colours, official_colours, tolerance=2e-4),
    _case("forward", forward, official_forward),
    _case("loss and gradients", loss_and_gradients, official_loss_and_gradients, tolerance=1e-4),
    # Sums over channels that lie last in memory round otherwise.
    _case("training steps", training, official_training, tolerance=1e-3, rounding={"loss": 5e-3}),
    # The precision matrix is rounded to float32 there.
    _case("scores", scores, official_scores),
)
