"""PatchCore beside its authors' code, and beside the port in TailedCore's repository."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ltbench.methods.base import Context
from ltbench.methods.features import timm_weights
from ltbench.methods.features.backbones import timm
from ltbench.methods.features.pixels import PixelReader, Row
from ltbench.methods.patchcore import PatchCore
from parity import inputs, memory
from parity.case import Arrays, Case
from parity.memory import CPU, LAYERS, SIDE, TAILEDCORE, WIDE
from parity.official import Clone, Repository

REPOSITORY = Repository(
    "patchcore-inspection", "https://github.com/amazon-science/patchcore-inspection", "fcaa92f", "Apache-2.0"
)
FROM_ONE_ROW = "coreset_start='random1'"


def _load(clone: Clone) -> ModuleType:
    return clone.load("patchcore.patchcore", below="src")


# ---- pixels


def long_picture() -> npt.NDArray[np.uint8]:
    """A picture (270, 300, 3) that is resized and cropped."""
    return inputs.images("long picture", 1, 300)[0, :270]


def our_pixels() -> Arrays:
    """Part of a picture that a Wide-ResNet-50 sees in the benchmark's default view."""
    images, _ = memory.image_set(long_picture()[None])
    pixels = PixelReader(images, Context(np.random.default_rng(0)).view, None, threaded=False).read([Row(0)])
    config = timm_weights.pinned_config(timm_weights.parse(WIDE.removeprefix("timm:")).name)
    seen = []

    class Network(torch.nn.Module):
        def forward_intermediates(
            self, values: torch.Tensor, **_: Any
        ) -> tuple[torch.Tensor, list[torch.Tensor]]:
            seen.append(values)
            return values, [values]

        def forward_head(self, values: torch.Tensor, **_: Any) -> torch.Tensor:
            return values

    normalisation = (timm_weights.channels(config.mean, "mean"), timm_weights.channels(config.std, "std"))
    backbone = timm.TimmBackbone(WIDE, "", Network(), {"layer": 0}, normalisation)
    backbone(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return {"pixels": seen[0][0].numpy()}


def _their_pixels(clone: Clone) -> Arrays:
    module = clone.load("patchcore.datasets.mvtec", below="src")
    with TemporaryDirectory() as folder:
        place = Path(folder) / "part" / "train" / "good"
        place.mkdir(parents=True)
        Image.fromarray(long_picture()).save(place / "000.png")
        return {"pixels": module.MVTecDataset(folder, "part")[0]["image"].numpy()}


# ---- patch vectors


def _our_vectors(*, is_rounded: bool = True) -> Arrays:
    found = {}
    for layers in (LAYERS, ("layer1", *LAYERS)):
        method = PatchCore(backbone=WIDE, layers=layers)
        with memory.pyramid_as_backbone(is_rounded=is_rounded):
            method.fit(memory.test_set()[0], memory.context())
            vectors = method._embedder.collect(memory.test_set()[0], title="").vectors
        found[f"{len(layers)} layers"] = vectors.reshape(-1, vectors.shape[-1])
    return found


def _their_vectors(clone: Clone, *, is_rounded: bool = True) -> Arrays:
    found = {}
    for layers in (LAYERS, ("layer1", *LAYERS)):
        method = _method(clone, layers, is_rounded=is_rounded)
        found[f"{len(layers)} layers"] = np.stack(method._embed(memory.scaled(memory.test_set()[1])))
    return found


# ---- memory, image scores and maps


def _method(clone: Clone, layers: tuple[str, ...] = LAYERS, *, is_rounded: bool = True) -> Any:
    module = _load(clone)
    method = module.PatchCore(CPU)
    sampler = module.patchcore.sampler.ApproximateGreedyCoresetSampler(0.1, CPU)
    network = memory.Pyramid(is_rounded=is_rounded)
    # The values of the command that the authors give for a tenth of the patches.
    method.load(network, list(layers), CPU, (3, SIDE, SIDE), 1024, 1024, featuresampler=sampler)
    return method


@cache
def _theirs(clone: Clone) -> Arrays:
    with memory.replayed():
        method = _method(clone)
        method.fit([memory.scaled(memory.train_set()[1])])
        scores, maps = method.predict(memory.scaled(memory.test_set()[1]))
    rows = method.anomaly_scorer.detection_features
    return memory.outcome(rows, np.stack(scores), np.stack(maps))


def _our(array: str, **fields: Any) -> Arrays:
    return {array: memory.ours("patchcore", **fields)[array]}


def _their(array: str, clone: Clone) -> Arrays:
    return {array: _theirs(clone)[array]}


def _port(clone: Clone) -> Arrays:
    return memory.port(clone, "PatchCore")


CASES = (
    Case("patchcore", "pixels", REPOSITORY, our_pixels, _their_pixels),
    Case("patchcore", "patch vectors", REPOSITORY, _our_vectors, _their_vectors),
    Case(
        "patchcore", "patch vectors without rounding", REPOSITORY,
        partial(_our_vectors, is_rounded=False), partial(_their_vectors, is_rounded=False),
        declared="Features of the backbone are rounded to float16.", is_golden=False,
    ),
    *(
        Case("patchcore", stage, REPOSITORY, partial(_our, array), partial(_their, array))
        for stage, array in (("selection", "memory"), ("image score", "scores"), ("map", "maps"))
    ),
    Case(
        "patchcore", "selection, scores and maps of TailedCore's port", TAILEDCORE,
        partial(memory.ours, "patchcore", coreset_start="random1"), _port,
        setting=FROM_ONE_ROW, default=partial(memory.ours, "patchcore"),
    ),
)  # fmt: skip
