"""What a backbone is, and how its name becomes one."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ltbench.methods.errors import BadParameter
from ltbench.methods.features import backbones

if TYPE_CHECKING:
    import torch


class Backbone(Protocol):
    """A frozen map from pixels to feature maps."""

    name: str
    """As it was asked for: "tiny", "timm:resnet18"."""
    digest: str
    """sha256 over the weights and the version of the recipe: equal digests give equal features."""
    layers: tuple[str, ...]
    """Feature maps computed at each call, finest first."""

    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Features of uint8 (B, 3, H, W), RGB: float32 (B, C, h, w) per layer, and (B, D) under "pooled"."""
        ...


@runtime_checkable
class Differentiable(Protocol):
    """A backbone whose maps can be followed back to the pixels."""

    def maps_of(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps (B, C, h, w) per layer of float32 images (B, 3, H, W) in [0, 1], with their gradients.

        Raises BadParameter for a layer that has none.
        """
        ...


def families() -> tuple[str, ...]:
    """Names of the backbones that exist: one module of `ltbench.methods.features.backbones` each."""
    modules = pkgutil.iter_modules(backbones.__path__)
    return tuple(sorted(m.name.replace("_", "-") for m in modules if not m.ispkg))


def load(
    name: str, device: str = "cpu", weights_root: Path | None = None, layers: tuple[str, ...] | None = None
) -> Backbone:
    """The backbone called `name` ("desc", "tiny", "timm:NAME...", "toy-vl"), on `device`, computing `layers`.

    `layers=None` means the backbone's default.

    Raises BadParameter for an unknown name or layer, and WeightsMissing when its weights are not on this
    machine; never falls back to random weights.
    """
    family, _, model = name.partition(":")
    if family not in families():
        raise BadParameter(
            f"unknown backbone '{name}': expected 'desc', 'tiny', 'timm:NAME' with a model name of timm, or "
            "the image half of a vision-language encoder: 'toy-vl', 'openclip:NAME@TAG', 'align:NAME'"
        )
    module = importlib.import_module(f"{backbones.__name__}.{family.replace('-', '_')}")
    backbone: Backbone = module.load(model, device=device, weights_root=weights_root, layers=layers)
    return backbone


def chosen_layers(name: str, layers: tuple[str, ...] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The layers asked for, or the first known one; raises BadParameter naming one that does not exist."""
    for layer in layers or ():
        if layer not in known:
            raise BadParameter(
                f"backbone '{name}' has no layer '{layer}': expected some of {', '.join(known)}"
            )
    return layers or known[:1]
