"""PaDiM beside the re-implementation that later papers compare with; its authors published no code."""

from __future__ import annotations

import warnings
from argparse import Namespace
from contextlib import redirect_stdout
from functools import cache, partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ltbench.benchmark import suites
from ltbench.methods import catalog
from ltbench.methods.padim import PaDiM
from parity import memory
from parity.case import Arrays, Case
from parity.methods.patchcore import long_picture, our_pixels
from parity.official import Clone, Repository

REPOSITORY = Repository(
    "PaDiM-Anomaly-Detection-Localization-master",
    "https://github.com/xiahaifeng1995/PaDiM-Anomaly-Detection-Localization-master", "616004b", "Apache-2.0",
)  # fmt: skip
FEW = 24
"""Channels that are compared: 550 at every position would take a while."""
SAME_NETWORK = {
    "backbone": memory.WIDE, "layers": ("layer1", "layer2", "layer3"), "grid": None, "channels": FEW,
}  # fmt: skip


def _suite_fields() -> dict[str, Any]:
    """Fields of the method in the suites of TailedCore's paper."""
    (row,) = (row for row in suites.load("tailedcore-mvtec").methods if row.name == "padim")
    return dict(row.fields)


@cache
def _ours(*, is_default: bool = False) -> Arrays:
    """Every step of the method with the suite's fields, or with its defaults on the same network and grid."""
    fields = SAME_NETWORK if is_default else _suite_fields() | {"channels": FEW}
    method = catalog.create("padim", **fields)
    with memory.pyramid_as_backbone():
        method.fit(memory.train_set()[0], memory.context())
        vectors = method._embedder.collect(memory.test_set()[0], title="").vectors
        prediction = method.score(memory.test_set()[0], memory.context())
    field = method._field
    covariance = field._factor @ field._factor.mT
    return {
        "vectors": vectors[..., ::16],
        "gaussians": np.concatenate([field.mean.numpy().T.ravel(), covariance.numpy().ravel()]),
        "distances": np.asarray(prediction.grids),
        "maps": memory.maps(prediction),
        "scores": prediction.scores,
        "chosen": method._chosen,
    }


class _Pictures(torch.utils.data.Dataset[Any]):
    """Pictures as the script wants them: with a label and a mask."""

    def __init__(self, pictures: npt.NDArray[np.uint8]) -> None:
        self.images = memory.scaled(pictures)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int, torch.Tensor]:
        return self.images[index], index % 2, torch.full((1, memory.SIDE, memory.SIDE), float(index % 2))


@cache
def _theirs(clone: Clone) -> Arrays:
    """Arrays that the script computes before its curves, from the channels that ltbench drew."""
    module = clone.load("main", stubs=("skimage", "skimage.morphology", "skimage.segmentation"))
    chosen = list(_ours()["chosen"])
    asked: list[int] = []
    maps: list[npt.NDArray[Any]] = []
    embedded: list[torch.Tensor] = []
    distances: list[float] = []
    saved: list[Any] = []

    def sample(_all: range, count: int) -> list[int]:
        asked.append(count)
        return chosen

    def pictures(_folder: str, *, is_train: bool, **_: Any) -> _Pictures:
        return _Pictures((memory.train_set() if is_train else memory.test_set())[1])

    with TemporaryDirectory() as folder, redirect_stdout(StringIO()), warnings.catch_warnings():
        # Pinned memory without a GPU.
        warnings.simplefilter("ignore", UserWarning)
        arguments = Namespace(data_path="", save_path=folder, arch="wide_resnet50_2")
        with mock.patch.multiple(
            module,
            parse_args=lambda: arguments,
            wide_resnet50_2=lambda **_: memory.Pyramid(),
            sample=sample,
            mvtec=Namespace(CLASS_NAMES=["part"], MVTecDataset=pictures),
            tqdm=lambda items, _title: items,
            plot_fig=mock.Mock(),
            pickle=Namespace(dump=lambda statistics, _file: saved.extend(statistics)),
            device=torch.device("cpu"),
            use_cuda=False,
            embedding_concat=_recorded(module.embedding_concat, embedded),
            mahalanobis=_recorded(module.mahalanobis, distances),
            gaussian_filter=_recorded(module.gaussian_filter, maps),
        ):
            module.main()
    count, cells = len(maps), memory.SIDE // 4
    mean, covariance = saved
    return {
        "vectors": embedded[-1].permute(0, 2, 3, 1).numpy()[..., ::16],
        "gaussians": np.concatenate([mean.ravel(), covariance.transpose(2, 0, 1).ravel()]),
        "distances": np.array(distances).reshape(cells, cells, count).transpose(2, 0, 1),
        "maps": np.stack(maps),
        # The script's own scores are these, brought to the range from 0 to 1.
        "scores": np.stack(maps).max(axis=(1, 2)),
        "channels": np.array(asked),
    }


def _recorded(function: Any, answers: list[Any]) -> Any:
    def recorded(*arguments: Any, **options: Any) -> Any:
        answers.append(function(*arguments, **options))
        return answers[-1]

    return recorded


def _our(array: str, **options: Any) -> Arrays:
    return {array: _ours(**options)[array]}


def _their(array: str, clone: Clone) -> Arrays:
    return {array: _theirs(clone)[array]}


def _their_pixels(clone: Clone) -> Arrays:
    module = clone.load("datasets.mvtec")
    with TemporaryDirectory() as folder, mock.patch.object(Image, "ANTIALIAS", Image.LANCZOS, create=True):
        place = Path(folder) / "bottle" / "train" / "good"
        place.mkdir(parents=True)
        Image.fromarray(long_picture()).save(place / "000.png")
        return {"pixels": module.MVTecDataset(folder, "bottle")[0][0].numpy()}


def _stage(stage: str, array: str, setting: str = "") -> Case:
    default = partial(_our, array, is_default=True) if setting else None
    return Case(
        "padim", stage, REPOSITORY, partial(_our, array), partial(_their, array),
        setting=setting, default=default,
    )  # fmt: skip


CASES = (
    Case(
        "padim", "pixels", REPOSITORY, our_pixels, _their_pixels, is_golden=False,
        declared="Images are resized bilinearly; the usual re-implementation takes Lanczos' filter.",
    ),
    Case(
        "padim", "number of channels", REPOSITORY,
        lambda: {"channels": np.array([_suite_fields()["channels"]])}, partial(_their, "channels"),
        tolerance=0, setting="channels=550", default=lambda: {"channels": np.array([PaDiM.channels])},
    ),
    _stage("patch vectors", "vectors"),
    _stage("Gaussians", "gaussians", "standardise=false"),
    _stage("Mahalanobis distances", "distances", "standardise=false"),
    _stage("map", "maps", "standardise=false"),
    _stage("image score", "scores", "standardise=false"),
)  # fmt: skip
