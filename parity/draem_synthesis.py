"""Stages of DRAEM's synthesis, ours and those of its authors' code: noise, blending and textures."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from ltbench.methods.draem import corrupted
from ltbench.methods.synthesis.perlin import noise
from ltbench.methods.synthesis.textures import CHANGES
from parity import inputs
from parity.augmenters import Replaying
from parity.case import Arrays
from parity.official import Clone
from parity.pixel_methods import Shares, image_set, scaled

SIDE = 64
CELLS = ((2, 8), (32, 1))


def noises() -> Arrays:
    drawn: Any = Shares()
    return {str(cells): noise((SIDE, SIDE), cells, drawn) for cells in CELLS}


def official_noises(clone: Clone) -> Arrays:
    module = clone.load("perlin")
    with mock.patch.object(np.random, "rand", Shares().filled):
        found = {str(cells): module.rand_perlin_2d_np((SIDE, SIDE), cells) for cells in CELLS}
    return {name: array.astype(np.float32) for name, array in found.items()}


@dataclass(frozen=True)
class Blend:
    """Shares of the ranges from which an image's corruption is drawn."""

    turned: float
    turn: tuple[float, ...]
    """() = no turn is drawn."""
    painted: float
    cells: tuple[float, float]
    blob: float
    through: float


BLENDS = (
    Blend(0.29, (0.8,), 0.51, (0.4, 0.2), 0.3, 0.9),
    Blend(0.31, (), 0.99, (0.0, 0.99), 0.9, 0.1),
    Blend(0.9, (), 0.49, (0.5, 0.5), 0.5, 0.5),
)
"""Turned and painted; painted; neither."""


def _image() -> torch.Tensor:
    return scaled(image_set(inputs.images("draem", 1, SIDE)))[0]


def blending() -> Arrays:
    texture = inputs.images("texture", 1, SIDE)[0]
    source: Any = SimpleNamespace(draw=lambda _rng: texture)
    found = []
    for drawn in BLENDS:
        shares: Any = Shares(
            drawn.turned, *drawn.turn, drawn.painted, *drawn.cells, drawn.blob, drawn.through
        )
        clean, given, mask = corrupted(_image(), source, shares)
        found.append((clean, given, mask.float()))
    return _stacked(found)


def official_blending(clone: Clone) -> Arrays:
    module, augmenters, dataset = _dataset(clone)
    dataset.randAugmenter = lambda: lambda image: image
    texture = inputs.images("texture", 1, SIDE)[0].astype(np.float32)
    read = {"image": (_image() * 255).permute(1, 2, 0).numpy(), "texture": texture}
    module.cv2 = SimpleNamespace(imread=read.__getitem__, resize=lambda image, **_: image)
    found = []
    for drawn in BLENDS:
        augmenters.shares = Shares(*drawn.turn, drawn.blob)
        cells = Shares(*drawn.cells)
        # There, a large number means what a small one means here.
        rest = Shares(1 - drawn.turned, drawn.through, 1 - drawn.painted)

        def integer(low: int, high: int, _: Any, cells: Shares = cells) -> torch.Tensor:
            return torch.tensor([cells.integers(low, high)])

        def number(_: Any, rest: Shares = rest) -> torch.Tensor:
            return torch.tensor([rest.random()])

        with (
            mock.patch.object(torch, "rand", number),
            mock.patch.object(torch, "randint", integer),
            mock.patch.object(np.random, "rand", Shares().filled),
        ):
            clean, given, mask, _ = dataset.transform_image("image", "texture")
        found.append((clean, given, mask[0]))
    return _stacked(found)


def _stacked(found: list[tuple[Any, Any, Any]]) -> Arrays:
    parts = zip(("clean", "given", "mask"), zip(*found, strict=True), strict=True)
    return {name: np.stack([np.asarray(one, np.float32) for one in part]) for name, part in parts}


def _dataset(clone: Clone) -> tuple[ModuleType, Replaying, Any]:
    module = clone.load("data_loader", stubs=("cv2", "imgaug", "imgaug.augmenters"))
    module.iaa = augmenters = Replaying()
    return module, augmenters, module.MVTecDRAEMTrainDataset("", "", resize_shape=[SIDE, SIDE])


SHARES = ((0.05, 0.1, 0.2), (0.45, 0.6, 0.8), (0.3, 0.95, 0.99))


def texture_changes() -> Arrays:
    texture = Image.fromarray(inputs.images("texture", 1, 32)[0])
    found = {}
    for number, change in enumerate(CHANGES):
        draws: list[Any] = [Shares(*shares) for shares in SHARES]
        found[f"change {number}"] = np.stack(
            [np.asarray(change(texture, draw), np.float32) for draw in draws]
        )
    return found


def official_texture_changes(clone: Clone) -> Arrays:
    _, augmenters, dataset = _dataset(clone)
    texture = inputs.images("texture", 1, 32)[0]
    found = {}
    for number, augmenter in enumerate(dataset.augmenters):
        changed = []
        for shares in SHARES:
            # The last one turns to the other side.
            is_last = number == len(CHANGES) - 1
            augmenters.shares = Shares(*(1 - share if is_last else share for share in shares))
            changed.append(augmenter(image=texture).astype(np.float32))
        found[f"change {number}"] = np.stack(changed)
    return found
