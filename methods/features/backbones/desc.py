"""`desc`: a weight-free descriptor of oriented gradients and colours, 33 channels per 8 x 8 pixels."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.features.backbone import chosen_layers

RECIPE = "desc/1"
BINS = 9
LEVELS = 3
CHANNELS = BINS * LEVELS + 6
STRIDE = 8

_LUMINANCE = (0.299, 0.587, 0.114)
_TARGET_BRIGHTNESS = 0.45


class Descriptor:
    """Gradient orientations on three scales, and mean and spread of colour, per 8 x 8 cell."""

    name = "desc"
    digest = hashlib.sha256(RECIPE.encode()).hexdigest()
    layers = ("desc",)

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """`{"desc": (B, 33, H / 8, W / 8), "pooled": (B, 66)}` of uint8 (B, 3, H, W)."""
        maps = describe(equalised(pixels.to(self.device)))
        return {"desc": maps, "pooled": mean_and_spread(maps)}


def load(
    model: str, *, device: str, weights_root: Path | None, layers: tuple[str, ...] | None
) -> Descriptor:  # no weights: nothing to look for in a mirror
    """The descriptor on a device; raises BadParameter for options, which it does not have."""
    del weights_root
    if model:
        raise BadParameter(f"backbone 'desc' takes no options, got '{model}': write 'desc'")
    chosen_layers("desc", layers, Descriptor.layers)
    return Descriptor(device)


def equalised(pixels: torch.Tensor) -> torch.Tensor:
    """Images of equal mean brightness, float32 (B, 3, H, W) in [0, 2], from uint8 pixels."""
    return brightened(pixels.to(torch.float32) / 255)


def brightened(images: torch.Tensor) -> torch.Tensor:
    """Images of equal mean brightness, float32 (B, 3, H, W) in [0, 2], from images in [0, 1]."""
    brightness = images.mean(dim=(1, 2, 3), keepdim=True).clamp_min(0.05)
    return (images * (_TARGET_BRIGHTNESS / brightness)).clamp_max(2)


def describe(images: torch.Tensor) -> torch.Tensor:
    """float32 (B, 33, H / 8, W / 8) of equalised images (B, 3, H, W).

    27 channels of gradient magnitude per orientation (nine unsigned bins on each of three octaves; square
    root, then the mean of 3 x 3 cells), then mean and standard deviation of R, G and B.
    """
    grid = (images.shape[-2] // STRIDE, images.shape[-1] // STRIDE)
    light = (images * images.new_tensor(_LUMINANCE).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    levels = []
    for _ in range(LEVELS):
        levels.append(functional.adaptive_avg_pool2d(_orientations(light), grid))
        light = _half(light)
    gradients = torch.cat(levels, dim=1).sqrt()
    gradients = functional.avg_pool2d(functional.pad(gradients, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mean = functional.adaptive_avg_pool2d(images, grid)
    square = functional.adaptive_avg_pool2d(images.square(), grid)
    spread = (square - mean.square()).clamp_min(0).sqrt()
    return torch.cat([gradients, mean, spread], dim=1)


def mean_and_spread(maps: torch.Tensor) -> torch.Tensor:
    """(B, 2C) of maps (B, C, h, w): mean and standard deviation over the positions."""
    return torch.cat([maps.mean(dim=(2, 3)), maps.std(dim=(2, 3), correction=0)], dim=1)


def _orientations(light: torch.Tensor) -> torch.Tensor:
    """(B, 9, H, W) of (B, 1, H, W): gradient magnitude, shared between the two nearest orientations."""
    padded = functional.pad(light, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    magnitude = torch.hypot(across, down)
    position = torch.atan2(down, across) * (BINS / math.pi)  # (-9, 9]: unsigned, so modulo 9
    lower = position.floor()
    upper_share = (position - lower) * magnitude
    lower_share = magnitude - upper_share
    lower = lower.to(torch.int64)
    bins = light.new_zeros(light.shape[0], BINS, *light.shape[2:])
    bins.scatter_add_(1, lower.remainder(BINS), lower_share)
    bins.scatter_add_(1, (lower + 1).remainder(BINS), upper_share)
    return bins


def _half(light: torch.Tensor) -> torch.Tensor:
    """The next octave of (B, 1, H, W): five-tap binomial filter, every second pixel."""
    taps = light.new_tensor([1, 4, 6, 4, 1]) / 16
    kernel = (taps[:, None] * taps[None, :]).view(1, 1, 5, 5)
    return functional.conv2d(functional.pad(light, (2, 2, 2, 2), mode="replicate"), kernel, stride=2)
