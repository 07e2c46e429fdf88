"""`tiny`: the backbone that ships with the package: a weight-free descriptor beside a small network.

Trained on formula-driven pictures alone, by `python -m ltbench.methods.features.backbones.tiny_training`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.errors import BadParameter, WeightsMissing
from ltbench.methods.features.backbone import chosen_layers
from ltbench.methods.features.backbones import desc

RECIPE = "tiny/3"
WEIGHTS = Path(__file__).with_name("tiny.safetensors")
QUANTILES = (0.1, 0.5, 0.9, 0.99)
"""Of every channel over the positions: the global embedding."""
SHA256 = "e39396d6c2a37be6ac43760d32395f67a9eb4ca8584e060c9df99a1edad69dfd"
"""Of the weights that this version of the package ships; written by the training."""

STEM = 24
WIDTHS = (32, 64, 96)
STRIDES = (4, 8, 16)
CHANNELS = desc.CHANNELS + sum(WIDTHS)
"""Of both default layers together: 33 of the descriptor, 192 of the network."""
DEFAULT_LAYERS = ("desc", "cnn")
LAYERS = (*DEFAULT_LAYERS, "stride4", "stride8", "stride16")

_MIDDLE, _SPREAD = 0.45, 0.25

Unit = Callable[[int, int, int], nn.Module]
"""Makes a 3 x 3 convolution from (channels in, channels out, stride)."""


class Tiny:
    """Descriptor and network at stride 8, or the network's own maps as a pyramid."""

    name = "tiny"

    def __init__(
        self, weights: dict[str, torch.Tensor], digest: str, device: str, layers: tuple[str, ...]
    ) -> None:
        self.digest = digest
        self.layers = layers
        self._device = torch.device(device)
        self._mean = weights.pop("mean").to(device).view(1, -1, 1, 1)
        self._scale = block_scale(weights.pop("std")).to(device).view(1, -1, 1, 1)
        self._network = Network(convolution)
        self._network.load_state_dict(weights)
        self._network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps of uint8 (B, 3, H, W), and "pooled" (B, 384): quantiles of what the deepest
        stage detects.

        "desc" (B, 33, H / 8, W / 8) and "cnn" (B, 192, H / 8, W / 8) are standardised with the statistics of
        the training pictures and divided by the root of their number of channels, so that each has the same
        say in a distance. "stride4", "stride8" and "stride16" are as the network computes them.
        """
        images = desc.equalised(pixels.to(self._device))
        taps = self._network(images.contiguous(memory_format=torch.channels_last))
        described = desc.describe(images)
        answers = {f"stride{stride}": tap for stride, tap in zip(STRIDES, taps, strict=True)}
        both = (torch.cat([described, joint(taps)], dim=1) - self._mean) * self._scale
        answers["desc"], answers["cnn"] = both.split((desc.CHANNELS, both.shape[1] - desc.CHANNELS), dim=1)
        return {
            **{layer: answers[layer] for layer in self.layers},
            "pooled": quantiles(functional.relu(taps[-1])),
        }

    def maps_of(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps of the network alone, of float32 images (B, 3, H, W) in [0, 1], with their gradients.

        Raises BadParameter for "desc" and "cnn": magnitudes of the descriptor have no gradient at 0.
        """
        if fixed := sorted(set(self.layers) & set(DEFAULT_LAYERS)):
            raise BadParameter(
                f"layer '{fixed[0]}' of backbone 'tiny' has no gradient: expected 'stride4', 'stride8' or "
                "'stride16'"
            )
        taps = self._network(desc.brightened(images).contiguous(memory_format=torch.channels_last))
        answers = {f"stride{stride}": tap for stride, tap in zip(STRIDES, taps, strict=True)}
        return {layer: answers[layer] for layer in self.layers}


def quantiles(maps: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) -> (B, 4 C): four quantiles of every channel over the positions.

    As a global embedding they tell products apart much better than the mean: which textures occur and how
    much, not only their balance; a small defect hardly moves them.
    """
    ordered = maps.flatten(2).sort(dim=2).values
    positions = [round(share * (ordered.shape[2] - 1)) for share in QUANTILES]
    return ordered[:, :, positions].flatten(1)


def load(model: str, *, device: str, weights_root: Path | None, layers: tuple[str, ...] | None) -> Tiny:
    """The shipped backbone on a device; raises WeightsMissing if its file is not the one of this version."""
    del weights_root  # the weights are part of the package
    if model:
        raise BadParameter(f"backbone 'tiny' takes no options, got '{model}': write 'tiny'")
    return from_file(WEIGHTS, SHA256, device, chosen_layers("tiny", layers or DEFAULT_LAYERS, LAYERS))


def from_file(file: Path, sha256: str, device: str, layers: tuple[str, ...]) -> Tiny:
    """The backbone with the weights of a file, whose sha256 must be as given."""
    from safetensors.torch import load as tensors_of

    try:
        content = file.read_bytes()
    except OSError as error:
        raise WeightsMissing(
            f"the weights of 'tiny' are not at '{file}': install ltbench again; they are part of the package"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WeightsMissing(
            f"the weights of 'tiny' at '{file}' have sha256 '{found[:16]}...', expected '{sha256[:16]}...': "
            "install ltbench again; the file is damaged or from another version"
        )
    weights = {name: values.to(torch.float32) for name, values in tensors_of(content).items()}
    return Tiny(weights, hashlib.sha256(f"{RECIPE} {sha256}".encode()).hexdigest(), device, layers)


class Stage(nn.Module):
    """Halves the resolution, then one residual block: 3 convolutions."""

    def __init__(self, unit: Unit, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = unit(inputs, outputs, 2)
        self.first = unit(outputs, outputs, 1)
        self.second = unit(outputs, outputs, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Before the last ReLU: sums that are close to normally distributed make the better distances."""
        maps = functional.relu(self.down(maps))
        return maps + self.second(functional.relu(self.first(maps)))


class Network(nn.Module):
    """Ten 3 x 3 convolutions; maps at strides 4, 8 and 16 with 32, 64 and 96 channels."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.stem = unit(3, STEM, 2)
        inputs = (STEM, *WIDTHS)
        self.stages = nn.ModuleList(Stage(unit, inputs[i], width) for i, width in enumerate(WIDTHS))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Maps (B, 32, H / 4, W / 4), (B, 64, H / 8, W / 8), (B, 96, H / 16, W / 16), no ReLU."""
        maps = functional.relu(self.stem((images - _MIDDLE) / _SPREAD))
        taps = []
        for stage in self.stages:
            taps.append(stage(maps))
            maps = functional.relu(taps[-1])
        return tuple(taps)


def convolution(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The unit of the shipped network: batch normalisation is already folded into weights and bias."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def joint(taps: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The network's maps side by side at stride 8: (B, 192, H / 8, W / 8)."""
    grid = taps[1].shape[-2:]
    fine = functional.adaptive_avg_pool2d(taps[0], grid)
    coarse = functional.interpolate(taps[2], size=grid, mode="bilinear", align_corners=False)
    return torch.cat([fine, taps[1], coarse], dim=1)


def block_scale(std: torch.Tensor) -> torch.Tensor:
    """(225,) factors that give each channel unit spread, and each block the same weight in a squared
    distance."""
    sizes = (desc.CHANNELS, CHANNELS - desc.CHANNELS)
    return torch.cat([part**-1 * size**-0.5 for part, size in zip(std.split(sizes), sizes, strict=True)])
