"""Interface of backbones, and loading of a backbone by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ltbench.methods.errors import BadParameter
from ltbench.registry import Registry

if TYPE_CHECKING:
    import torch


BACKBONES = Registry(
    "backbone",
    f"{__package__}.backbones",
    group="backbones",
    separator="-",
    advice="a network of a library is 'timm:NAME', 'openclip:NAME@TAG' or 'align:NAME'",
)
"""Families by the name before the colon: "timm" of "timm:resnet18"."""

DEFAULT_BACKBONE = "timm:tf_efficientnet_lite0"
"""ImageNet features at about 40 images a second and core, from a package that `ltbench[methods]` installs."""


class Backbone(Protocol):
    """A frozen map from pixels to feature maps."""

    name: str
    """Name under which the backbone was loaded: "desc", "timm:resnet18"."""
    digest: str
    """sha256 over the weights and the version of the recipe: equal digests give equal features."""
    layers: tuple[str, ...]
    """Feature maps computed at each call, finest first."""

    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Features of uint8 (B, 3, H, W), RGB: float32 (B, C, h, w) per layer, and (B, D) under "pooled"."""
        ...


@runtime_checkable
class Differentiable(Protocol):
    """Backbone whose maps have gradients at the pixels."""

    def maps_of(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps (B, C, h, w) per layer of float32 images (B, 3, H, W) in [0, 1], with their gradients.

        Raises BadParameter for a layer that has none.
        """
        ...


def load(
    name: str, device: str = "cpu", weights_root: Path | None = None, layers: tuple[str, ...] | None = None
) -> Backbone:
    """The backbone called `name` ("desc", "timm:NAME...", "toy-vl"), on `device`, computing `layers`.

    `layers=None` means the backbone's default.

    Raises UnknownName, BadParameter for an unknown layer, and WeightsMissing when its weights are not on this
    machine; never falls back to random weights.
    """
    family, _, model = name.partition(":")
    backbone: Backbone = BACKBONES.load(family).load(
        model, device=device, weights_root=weights_root, layers=layers
    )
    return backbone


@dataclass(frozen=True)
class Identity:
    """Digest and layers of a backbone, known before its network is built."""

    digest: str
    layers: tuple[str, ...]


def identity(name: str, weights_root: Path | None = None, layers: tuple[str, ...] | None = None) -> Identity:
    """Digest and layers of the backbone that `load` returns; raises what `load` raises.

    A family with a function `identity` is spared building its network.
    """
    family, _, model = name.partition(":")
    module = BACKBONES.load(family)
    if hasattr(module, "identity"):
        known: Identity = module.identity(model, weights_root=weights_root, layers=layers)
        return known
    loaded = load(name, "cpu", weights_root, layers)
    return Identity(loaded.digest, loaded.layers)


def chosen_layers(name: str, layers: tuple[str, ...] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """Requested layers, or the first known one; raises BadParameter naming a layer that does not exist."""
    for layer in layers or ():
        if layer not in known:
            raise BadParameter(
                f"backbone '{name}' has no layer '{layer}': expected some of {', '.join(known)}"
            )
    return layers or known[:1]
