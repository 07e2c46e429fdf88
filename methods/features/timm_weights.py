"""The checkpoint behind `timm:NAME`: its name in parts, its file, its digest; no network is built here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features import packaged_weights, weights
from ltbench.registry import did_you_mean

RECIPE = "timm/1"
TRANSFORMER_RECIPE = "timm/2"
"""Recipe of transformers; version 2 since token groups resample positions without antialiasing."""
_TRANSFORMERS = ("vit_", "test_vit")

PINNED_TAGS = {"wide_resnet50_2": "tv_in1k"}
"""Weights meant by a bare name where timm's own default is another training than the papers used."""


@dataclass(frozen=True)
class Request:
    """Parts of a name `timm:...`: architecture, checkpoint and options."""

    name: str
    """Architecture, with its tag if there is one: "wide_resnet50_2.tv_in1k"."""
    file: str = ""
    """Checkpoint; "" = by name, from the folder with weights or the hub."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint and how it is used: everything that decides about the features but the layers."""

    name: str
    """Architecture, with its tag if there is one."""
    file: Path
    sha256: str
    options: Mapping[str, Any]
    """Arguments for `timm.create_model`, and `padding_size`."""
    layers: tuple[str, ...]
    """Layers requested by the name or its JSON file; () = the default."""
    mean: torch.Tensor
    std: torch.Tensor

    @property
    def architecture(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_transformer(self) -> bool:
        return self.architecture.startswith(_TRANSFORMERS)

    @property
    def digest(self) -> str:
        """sha256 over the recipe, the weights and their use."""
        recipe = TRANSFORMER_RECIPE if self.is_transformer else RECIPE
        use = [sorted(self.options.items()), self.mean.tolist(), self.std.tolist()]
        return hashlib.sha256(json.dumps([recipe, self.name, self.sha256, *use]).encode()).hexdigest()


def pretrained(model: str, weights_root: Path | None) -> Pretrained:
    """Find the checkpoint behind `timm:`; raises BadParameter, or WeightsMissing with the ways out."""
    request = parse(model)
    config = pinned_config(request.name)
    file = weights_file(request, config, weights_root)
    options = {**sidecar(file), **request.options}
    sha256 = weights.verified_sha256(file, str(options.pop("sha256", "")))
    layers = tuple(options.pop("layers", ()))
    mean, std = (channels(options.pop(key, getattr(config, key)), key) for key in ("mean", "std"))
    return Pretrained(request.name, file, sha256, options, layers, mean, std)


def source(model: str, weights_root: Path | None) -> str:
    """Say where the weights behind `timm:MODEL` come from: a package, or the path of their file."""
    request = parse(model)
    return packaged_weights.source_of(weights_file(request, pinned_config(request.name), weights_root))


def parse(model: str) -> Request:
    """The parts of `NAME[.TAG][@FILE][?option=value&...]`; lists are comma-separated."""
    head, _, query = model.partition("?")
    name, _, file = head.partition("@")
    options = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        if not equals:
            raise BadParameter(f"option '{part}' of backbone 'timm:{model}' has no value: write '{part}=...'")
        options[key] = value.split(",") if key == "layers" else parsed(value)
    if not file and name in PINNED_TAGS:
        name = f"{name}.{PINNED_TAGS[name]}"
    return Request(name, file, options)


def parsed(value: str) -> Any:
    """A number, a truth value or a text, or a list of them."""
    if "," in value:
        return [parsed(part) for part in value.split(",")]
    try:
        return json.loads(value.lower() if value.lower() in ("true", "false") else value)
    except ValueError:
        return value


def pinned_config(name: str) -> Any:
    """Pretrained configuration of a name, from timm only where no package of weights repeats it."""
    return packaged_weights.package_of(name) or known_config(imported_timm(), name)


def known_config(timm: ModuleType, name: str) -> Any:
    """Pretrained configuration of a name, from timm; raises BadParameter with close names."""
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        hint = did_you_mean(architecture, timm.list_models(), most=3)
        raise BadParameter(
            f"timm knows no model '{architecture}': {hint}'timm.list_models()' names all of them"
        )
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{architecture}.*")) or "none"
        raise BadParameter(f"timm has no weights '{name}': expected one of {tags}") from error


def imported_timm() -> ModuleType:
    """timm itself, or one sentence about why it cannot be imported."""
    try:
        import timm
    except ImportError as error:
        raise MethodsError(
            f"the backbones 'timm:...' need the package timm, which cannot be imported ({error}): "
            "pip install 'ltbench[methods]', or choose the backbone 'desc'"
        ) from error
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        raise MethodsError(
            f"torch {torch.__version__} and the installed torchvision are not built for each other (one for "
            "CPU, one for CUDA), so that timm cannot be imported: reinstall both from one index, for example "
            "pip install --force-reinstall torch torchvision --index-url "
            "https://download.pytorch.org/whl/cpu, or choose the backbone 'desc'"
        ) from error
    return timm


def weights_file(request: Request, config: Any, weights_root: Path | None) -> Path:
    """Checkpoint of a request: its file, or by name from the folder with weights, a package or the hub."""
    if request.file:
        return weights.local_file(request.file, weights_root)
    tag = config.tag or ""
    name = request.name if "." in request.name or not tag else f"{request.name}.{tag}"
    found = weights.mirrored_file(name, config.url or "", weights_root) or packaged_weights.installed_file(
        name
    )
    if found is not None:
        return found
    package = packaged_weights.PACKAGES.get(name)
    return weights.hub_file(
        name, config.hf_hub_id or "", weights_root, package.requirement if package else ""
    )


def sidecar(file: Path) -> dict[str, Any]:
    """Options given beside a checkpoint, if there are any."""
    path = file.with_suffix(".json")
    if not path.is_file():
        return {}
    try:
        options = json.loads(path.read_text())
    except ValueError as error:
        raise BadParameter(f"'{path}' is not JSON ({error}): expected an object of options") from error
    if not isinstance(options, dict):
        raise BadParameter(f'\'{path}\' holds no JSON object: expected one like {{"pad_type": "same"}}')
    return options


def channels(value: float | Sequence[float], key: str) -> torch.Tensor:
    """float32 (1, 3, 1, 1) of one number, or of one per channel."""
    numbers = [value] * 3 if isinstance(value, (int, float)) else list(value)
    if len(numbers) != 3 or not all(isinstance(number, (int, float)) for number in numbers):
        raise BadParameter(f"option '{key}' is '{value}': expected one number, or three with commas between")
    return torch.tensor(numbers, dtype=torch.float32).view(1, 3, 1, 1)
