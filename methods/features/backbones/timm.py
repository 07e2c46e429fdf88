"""`timm:NAME[.TAG][@FILE][?option=value&...]`: any model of timm that offers intermediate maps, pretrained.

`timm:tf_efficientnet_lite0` takes its weights from an installed package, `timm:wide_resnet50_2` from the
folder with weights or the Hugging Face hub, and
`timm:mobilenetv2_100@FILE?pad_type=same&mean=0.5&std=0.5&layers=blocks.2,blocks.4` takes them from a file.
The options `layers`, `mean`, `std` (one number or one per channel), `padding_size` (input size whose "same"
padding is kept at all sizes) and `sha256` are understood here; all others go to `timm.create_model`. A JSON
object beside the file (`FILE` with the suffix `.json`) may give the same options; those in the name win.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ltbench.methods.errors import BadParameter
from ltbench.methods.features import block_groups, packaged_weights, timm_weights, weights
from ltbench.methods.features.backbone import Identity
from ltbench.methods.features.padding import fix_padding

DEFAULT_LAYERS = {
    "wide_resnet50_2": ("layer2", "layer3"),
    **{f"tf_efficientnet_lite{number}": ("blocks.2", "blocks.4") for number in range(3)},
}
"""Maps at strides 8 and 16 of common networks, known without building them."""


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
    """Model that a name `timm:...` means; raises BadParameter, or WeightsMissing with ways to get weights."""
    timm = timm_weights.imported_timm()
    found = timm_weights.pretrained(model, weights_root)
    network = built(timm, found.name, found.file, _options(found))
    if "padding_size" in found.options:
        fix_padding(network, found.options["padding_size"], found.architecture)
    network = network.to(device, memory_format=torch.channels_last)
    normalisation = (found.mean.to(device), found.std.to(device))
    identity = (f"timm:{model}", found.digest)
    asked = layers or found.layers or None
    if block_groups.asked_for(asked):
        return block_groups.TokenBackbone(*identity, network, asked or (), normalisation)
    return TimmBackbone(*identity, network, depths(network, found.architecture, asked), normalisation)


def identity(model: str, *, weights_root: Path | None, layers: tuple[str, ...] | None) -> Identity:
    """Digest and layers of the backbone that `load` returns, found without reading the weights."""
    found = timm_weights.pretrained(model, weights_root)
    asked = layers or found.layers or None
    if block_groups.asked_for(asked):
        return Identity(found.digest, asked or ())
    if found.architecture in DEFAULT_LAYERS and not asked and not found.options:
        return Identity(found.digest, DEFAULT_LAYERS[found.architecture])
    network = _blank(timm_weights.imported_timm(), found.name, _options(found))
    return Identity(found.digest, tuple(depths(network, found.architecture, asked)))


def _options(found: timm_weights.Pretrained) -> dict[str, Any]:
    """Options for `timm.create_model`."""
    options = {key: value for key, value in found.options.items() if key != "padding_size"}
    # Positions are resampled to the view: otherwise only the training size would be taken.
    return {"dynamic_img_size": True, **options} if found.is_transformer else options


def built(timm: ModuleType, name: str, file: Path, options: Mapping[str, Any]) -> torch.nn.Module:
    """The full model with the weights of a file, every tensor of it matched; frozen."""
    with _options_of(name, options), weights.reading(file, f"timm:{name}"):
        overlay: dict[str, Any] = {"file": str(file)}
        if file.suffix != ".npz":  # JAX's format, which timm reads by itself
            tensors = timm.models.load_state_dict(str(file), weights_only=True)
            overlay = {
                "state_dict": packaged_weights.renamed(
                    tensors, lambda: _blank(timm, name, options).state_dict()
                )
            }
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    model.eval().requires_grad_(False)
    return model


def _blank(timm: ModuleType, name: str, options: Mapping[str, Any]) -> Any:
    """The model with names and shapes alone."""
    with _options_of(name, options), torch.device("meta"):
        return timm.create_model(name, **options)


@contextmanager
def _options_of(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Raise BadParameter where `timm.create_model` does not take the options."""
    try:
        yield
    except TypeError as error:
        raise BadParameter(
            f"timm's model '{name}' does not take the options {dict(options)}: {error}"
        ) from error


def depths(model: torch.nn.Module, architecture: str, asked: tuple[str, ...] | None) -> dict[str, int]:
    """Position of each layer among timm's intermediate maps, in the requested order.

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
