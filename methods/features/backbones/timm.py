"""`timm:NAME[.TAG][@FILE][?option=value&...]`: any model of timm that offers intermediate maps, pretrained.

`timm:tf_efficientnet_lite0` takes its weights from an installed package, `timm:wide_resnet50_2` from the
folder with weights or the Hugging Face hub, and
`timm:mobilenetv2_100@FILE?pad_type=same&mean=0.5&std=0.5&layers=blocks.2,blocks.4` takes them from a file.
The options `layers`, `mean`, `std` (one number or one per channel), `padding_size` (input size whose "same"
padding is kept at all sizes) and `sha256` are understood here; all others go to `timm.create_model`. A JSON
object beside the file (`FILE` with the suffix `.json`) may give the same options; those in the name win.
"""

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
from ltbench.methods.features import block_groups, packaged_weights, weights
from ltbench.methods.features.padding import fix_padding
from ltbench.registry import did_you_mean

RECIPE = "timm/1"
TRANSFORMER_RECIPE = "timm/2"
"""Since token groups resample positions without antialiasing."""
_TRANSFORMERS = ("vit_", "test_vit")

PINNED_TAGS = {"wide_resnet50_2": "tv_in1k"}
"""Weights meant by a bare name where timm's own default is another training than the papers used."""

DEFAULT_LAYERS = {"wide_resnet50_2": ("layer2", "layer3")}


@dataclass(frozen=True)
class Request:
    """What stands behind `timm:`."""

    name: str
    """Architecture, with its tag if there is one: "wide_resnet50_2.tv_in1k"."""
    file: str = ""
    """Checkpoint; "" = by name, from the folder with weights or the hub."""
    options: Mapping[str, Any] = field(default_factory=dict)


class TimmBackbone:
    """One model, frozen; maps by the module names that timm gives them ("layer2", "blocks.4")."""

    def __init__(
        self,
        name: str,
        digest: str,
        model: torch.nn.Module,
        layers: Mapping[str, int],
        normalisation: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        self.name = name
        self.digest = digest
        self.layers = tuple(layers)
        self._model = model
        self._mean, self._std = normalisation
        self._depth_of = dict(layers)
        self._depths = sorted(set(layers.values()))

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps (B, C, h, w) per layer, and "pooled": what the classifier would see, (B, D)."""
        last, answers = self._answers(pixels.to(self._mean.device).to(torch.float32) / 255)
        answers["pooled"] = self._model.forward_head(last, pre_logits=True)
        return answers

    def maps_of(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps (B, C, h, w) per layer of float32 images (B, 3, H, W) in [0, 1], with their gradients."""
        return self._answers(images)[1]

    def _answers(self, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        images = ((images - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        last, maps = self._model.forward_intermediates(images, indices=self._depths)
        by_depth = dict(zip(self._depths, maps, strict=True))
        return last, {layer: by_depth[depth] for layer, depth in self._depth_of.items()}


def load(
    model: str, *, device: str, weights_root: Path | None, layers: tuple[str, ...] | None
) -> TimmBackbone | block_groups.TokenBackbone:
    """The model that stands behind `timm:`; raises BadParameter, or WeightsMissing with the ways out."""
    timm = imported_timm()
    request = parse(model)
    architecture, config = known_config(timm, request.name)
    file = weights_file(request, config, weights_root)
    options = {**sidecar(file), **request.options}
    digest = weights.verified_sha256(file, str(options.pop("sha256", "")))
    asked = layers or tuple(options.pop("layers", ())) or None
    options.pop("layers", None)
    mean, std = (channels(options.pop(key, getattr(config, key)), key) for key in ("mean", "std"))
    is_transformer = architecture.startswith(_TRANSFORMERS)
    recipe = TRANSFORMER_RECIPE if is_transformer else RECIPE
    facts = [recipe, request.name, digest, sorted(options.items()), mean.tolist(), std.tolist()]
    identity = (f"timm:{model}", hashlib.sha256(json.dumps(facts).encode()).hexdigest())
    padding_size = options.pop("padding_size", None)
    if is_transformer:
        # Positions are resampled to the view: otherwise only the training size would be taken.
        options.setdefault("dynamic_img_size", True)
    network = built(timm, request.name, file, options)
    if padding_size is not None:
        fix_padding(network, padding_size, architecture)
    network = network.to(device, memory_format=torch.channels_last)
    normalisation = (mean.to(device), std.to(device))
    if block_groups.asked_for(asked):
        return block_groups.TokenBackbone(*identity, network, asked or (), normalisation)
    return TimmBackbone(*identity, network, depths(network, architecture, asked), normalisation)


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


def known_config(timm: ModuleType, name: str) -> tuple[str, Any]:
    """Architecture and pretrained configuration of a name; raises BadParameter with close names."""
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        hint = did_you_mean(architecture, timm.list_models(), most=3)
        raise BadParameter(
            f"timm knows no model '{architecture}': {hint}'timm.list_models()' names all of them"
        )
    try:
        return architecture, timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{architecture}.*")) or "none"
        raise BadParameter(f"timm has no weights '{name}': expected one of {tags}") from error


def weights_file(request: Request, config: Any, weights_root: Path | None) -> Path:
    """The checkpoint of a request: its file, or by name from the folder with weights, a package, the hub."""
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


def built(timm: ModuleType, name: str, file: Path, options: Mapping[str, Any]) -> torch.nn.Module:
    """The full model with the weights of a file, every tensor of it matched; frozen."""
    try:
        with weights.reading(file, f"timm:{name}"):
            overlay: dict[str, Any] = {"file": str(file)}
            if file.suffix != ".npz":  # JAX's format, which timm reads by itself
                tensors = timm.models.load_state_dict(str(file), weights_only=True)
                overlay = {
                    "state_dict": packaged_weights.renamed(tensors, lambda: names(timm, name, options))
                }
            model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    except TypeError as error:
        raise BadParameter(
            f"timm's model '{name}' does not take the options {dict(options)}: {error}"
        ) from error
    model.eval().requires_grad_(False)
    return model


def names(timm: ModuleType, name: str, options: Mapping[str, Any]) -> list[str]:
    """Names of a model's tensors in their order."""
    with torch.device("meta"):
        return list(timm.create_model(name, **options).state_dict())


def source(model: str, weights_root: Path | None) -> str:
    """Say where the weights behind `timm:MODEL` come from: a package, or the path of their file."""
    request = parse(model)
    _, config = known_config(imported_timm(), request.name)
    return packaged_weights.source_of(weights_file(request, config, weights_root))


def depths(model: torch.nn.Module, architecture: str, asked: tuple[str, ...] | None) -> dict[str, int]:
    """Position of each layer among timm's intermediate maps, in the order asked for.

    "stride8" is the last map at stride 8, whatever timm calls it. By default the last maps at strides 8 and
    16, as in PatchCore; without those (a transformer) the blocks at one half and three quarters of the depth.
    """
    known = [entry["module"] for entry in model.feature_info]
    strides = {entry["reduction"]: entry["module"] for entry in model.feature_info}
    if asked is None:
        pyramid = (strides[8], strides[16]) if {8, 16} <= strides.keys() else None
        middle = (known[len(known) // 2 - 1], known[len(known) * 3 // 4 - 1])
        asked = DEFAULT_LAYERS.get(architecture) or pyramid or middle
    named = {name: depth for depth, name in enumerate(known)} | {str(i): i for i in range(len(known))}
    named |= {f"stride{entry['reduction']}": i for i, entry in enumerate(model.feature_info)}
    for layer in asked:
        if layer not in named:
            raise BadParameter(
                f"timm's model '{architecture}' has no layer '{layer}': expected some of {', '.join(known)}, "
                f"their numbers from 0, or {', '.join(f'stride{stride}' for stride in strides)}"
            )
    return {layer: named[layer] for layer in asked}
