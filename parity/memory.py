"""Shared by the cases of the memory banks and PaDiM: a small network, pictures, replayed random draws."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from io import StringIO
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import DataLoader

from ltbench.methods import catalog
from ltbench.methods.base import Context, Prediction, View
from ltbench.methods.blocks.projection import random_projection
from ltbench.methods.blocks.score_maps import anomaly_maps
from ltbench.methods.features import backbone
from ltbench.splits.images import ImageSet, LabelledImage, Pixels
from parity import inputs
from parity.case import Arrays
from parity.official import Clone, Repository

SIDE = 32
"""Height and width of the pictures."""
WIDTHS = (256, 512, 1024)
"""Channels of layer1 to layer3 of a Wide-ResNet-50."""


class Pyramid(nn.Module):
    """Stands for a Wide-ResNet-50: maps of as many channels at strides 4, 8 and 16, and their mean.

    Weights and answers are multiples of 1/128 and 1/32, so that every sum is exact in float32 on any machine
    and the answers are numbers of float16. `is_rounded` = False leaves the answers as they are.
    """

    def __init__(self, *, is_rounded: bool = True) -> None:
        super().__init__()
        narrow, middle, wide = WIDTHS
        self.layer1 = nn.Sequential(nn.Conv2d(3, narrow, 4, 4), Ending(is_rounded))
        self.layer2 = nn.Sequential(nn.Conv2d(narrow, middle, 2, 2), Ending(is_rounded))
        self.layer3 = nn.Sequential(nn.Conv2d(middle, wide, 2, 2), Ending(is_rounded))
        self.contrast = Contrast()
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), self.contrast)
        inputs.fill(self, "pyramid").eval().requires_grad_(requires_grad=False)
        for value in self.parameters():
            value.copy_((value * 128).round() / 128)
        # Otherwise all pictures are alike, and no class is small.
        self.contrast.grey = self(torch.zeros(1, 3, SIDE, SIDE))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.avgpool(self.layer3(self.layer2(self.layer1(images))))
        return pooled


class Contrast(nn.Module):
    """The difference of an embedding (B, 1024, 1, 1) from that of an empty picture."""

    def __init__(self) -> None:
        super().__init__()
        self.grey = torch.zeros(1, WIDTHS[-1], 1, 1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values - self.grey


class Ending(nn.Module):
    """The rectifier at the end of a layer, and the rounding of its answers."""

    def __init__(self, is_rounded: bool) -> None:
        super().__init__()
        self.is_rounded = is_rounded

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = values.relu().clamp(max=8.0)
        return (values * 32).round() / 32 if self.is_rounded else values


@dataclass(frozen=True)
class PyramidBackbone:
    """The network as methods see it."""

    network: Pyramid
    layers: tuple[str, ...]
    name: str = "timm:wide_resnet50_2"
    digest: str = "pyramid"

    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps (B, C, h, w) per layer of uint8 (B, 3, H, W) pixels, and "pooled" (B, 1024)."""
        answers = {}
        # As the official side: images one after another would be other sums.
        values = scaled(pixels.permute(0, 2, 3, 1))
        for layer in ("layer1", "layer2", "layer3"):
            values = answers[layer] = getattr(self.network, layer)(values)
        answers["pooled"] = self.network.avgpool(values)[:, :, 0, 0]
        return answers


def scaled(pixels: npt.NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) from -2 to 2, instead of ImageNet's mean and spread."""
    return (torch.as_tensor(pixels).permute(0, 3, 1, 2).contiguous().float() - 128) / 64


@contextmanager
def pyramid_as_backbone(*, is_rounded: bool = True) -> Iterator[None]:
    """Give every method this network, whichever it asks for."""

    def load(_name: str, _device: str, _root: object, layers: tuple[str, ...] | None) -> PyramidBackbone:
        return PyramidBackbone(Pyramid(is_rounded=is_rounded), layers or ("layer2", "layer3"))

    with mock.patch.object(backbone, "load", load):
        yield


@dataclass(frozen=True)
class Pictures:
    """Pixels in a fixed order, as the source of an image set."""

    pixels_of: npt.NDArray[np.uint8]
    """(N, H, W, 3)."""

    def pixels(self, image: LabelledImage) -> Pixels:
        return self.pixels_of[int(image.path)]

    def content_digest(self, image: LabelledImage) -> str:
        return image.path


def image_set(pixels: npt.NDArray[np.uint8]) -> tuple[ImageSet, npt.NDArray[np.uint8]]:
    """The pictures as an image set, and once more in the order in which it holds them."""
    found = ImageSet(
        [LabelledImage(str(place), "part", "train") for place in range(len(pixels))], Pictures(pixels)
    )
    return found, np.stack(list(found))


def products(name: str, sizes: Sequence[int], *, spread: float = 12.0) -> npt.NDArray[np.uint8]:
    """Pictures (N, SIDE, SIDE, 3) of several products: one smooth picture each, with noise on every copy."""
    parts = []
    for product, size in enumerate(sizes):
        one = inputs.images(f"{name}/{product}", 1, SIDE).astype(np.float32)
        noise = inputs.draw(f"{name}/{product}/noise", size, SIDE, SIDE, 3, scale=spread)
        parts.append(np.clip(one + noise, 0, 255))
    return np.concatenate(parts).round().astype(np.uint8)


def context(seed: int = 0) -> Context:
    """Context of a fit: the whole picture as the view, and one source of random numbers."""
    return Context(rng=np.random.default_rng(seed), view=View(SIDE, SIDE))


@dataclass
class Draws:
    """Random numbers of the authors' code, drawn as ltbench draws them in the same order."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    kept: npt.NDArray[np.int64] | None = None
    """Rows among which starting rows are drawn, if not among all."""

    def linear(self, width: int, dim: int, bias: bool = True, **_: Any) -> nn.Linear:
        layer = _LINEAR(width, dim, bias=bias)
        matrix = random_projection(width, dim, self.rng)
        assert matrix is not None
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(matrix.T))
        return layer

    def randint(self, high: int) -> int:
        return int(self.rng.integers(high))

    def choice(self, count: int, size: int, replace: bool = True) -> npt.NDArray[np.int64]:
        among = np.arange(count) if self.kept is None else self.kept
        return among[self.rng.choice(len(among), size=int(size), replace=replace)]


_LINEAR = nn.Linear


@contextmanager
def replayed(draws: Draws | None = None) -> Iterator[Draws]:
    """Let projections, first centres and starting rows of the authors' code be those of ltbench.

    Nothing is printed, and no warning is raised: the code was written for older libraries.
    """
    draws = draws or Draws()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(StringIO()))
        stack.enter_context(redirect_stderr(StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(mock.patch.object(torch.nn, "Linear", draws.linear))
        stack.enter_context(mock.patch.object(np.random, "randint", draws.randint))
        stack.enter_context(mock.patch.object(np.random, "choice", draws.choice))
        stack.enter_context(torch.no_grad())
        yield draws


# ---- whole methods, ours and those of TailedCore's repository

TAILEDCORE = Repository(
    "jungyg-TailedCore", "https://github.com/jungyg/TailedCore", "7240f04", licence="none"
)
WIDE = "timm:wide_resnet50_2"
CPU = torch.device("cpu")
LAYERS = ("layer2", "layer3")


@cache
def train_set() -> tuple[ImageSet, npt.NDArray[np.uint8]]:
    """19 pictures of three products, of which two are rare."""
    return image_set(products("train", (12, 4, 3)))


@cache
def test_set() -> tuple[ImageSet, npt.NDArray[np.uint8]]:
    """Six pictures of the same products with other noise."""
    return image_set(products("train", (2, 2, 2), spread=30.0))


@cache
def ours(name: str, **fields: Any) -> Arrays:
    """Memory, image scores and maps of a method of the catalogue, fitted and scored as in a benchmark."""
    method = catalog.create(name, **{"backbone": WIDE} | fields)
    with pyramid_as_backbone():
        method.fit(train_set()[0], context())
        prediction = method.score(test_set()[0], context())
    return outcome(method._bank._index.rows, prediction.scores, maps(prediction))


def maps(prediction: Prediction) -> npt.NDArray[np.float32]:
    """Anomaly maps (N, SIDE, SIDE) of a prediction."""
    assert prediction.grids is not None
    return anomaly_maps(prediction.grids, SIDE, prediction.post.sigma, prediction.post.upsample)


def outcome(rows: npt.NDArray[Any], scores: npt.NDArray[Any], maps: npt.NDArray[Any]) -> Arrays:
    """Compared arrays of a fitted method: every 32nd number of its memory, image scores, maps."""
    return {"memory": rows[:, ::32], "scores": scores, "maps": maps}


def coreset_model(clone: Clone) -> ModuleType:
    """TailedCore's module of methods, its parallel loop run in this process."""
    # Looks for libraries while it is imported, and would take a stub for one of them.
    importlib.import_module("torchvision")
    found = clone.load("src.coreset_model", stubs=("cv2", "tabulate"))
    adaptive = adaptive_class_size(found)
    adaptive.Parallel = lambda **_: list
    adaptive.delayed = lambda function: function
    return found


def adaptive_class_size(model: ModuleType) -> ModuleType:
    """The module of class sizes that the module of methods uses."""
    run = model.AdaptiveTailSampler.run
    found: ModuleType = run.__globals__["adaptive_class_size"]
    return found


@cache
def port(clone: Clone, name: str, **fields: Any) -> Arrays:
    """Memory, image scores and maps of PatchCore, SoftPatch or TailedCore in TailedCore's repository."""
    module = coreset_model(clone)
    with replayed():
        embedder = module.FeatureEmbedder(
            CPU, (3, SIDE, SIDE), Pyramid(), LAYERS, embedding_to_extract_from="avgpool"
        )
        method = getattr(module, name)(
            embedder, CPU, SIDE, coreset_ratio=0.1, faiss_on_gpu=False, sampler_on_gpu=False, **fields
        )
        pixels = scaled(train_set()[1])
        method.fit(DataLoader([{"image": image} for image in pixels], batch_size=5))
        scores, maps = method.predict(scaled(test_set()[1]))
    rows = method.anomaly_scorer.detection_features
    return outcome(rows, np.array(scores), np.stack(maps))
