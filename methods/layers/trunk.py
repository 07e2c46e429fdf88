"""Convolutional networks that are trained further: the shipped one, or a ResNet with or without weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.errors import BadParameter

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Trunk(nn.Module):
    """Images in [0, 1] -> maps after each stage, finest first."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        widths: tuple[int, ...],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.stem, self.stages, self.widths = stem, nn.ModuleList(stages), widths
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def start(self, images: torch.Tensor) -> torch.Tensor:
        """What the first stage sees."""
        return self.stem((images - self.mean) / self.std)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps, found = self.start(images), []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found


def load(name: str, weights_root: Path | None, *, normalise: bool, with_norms: bool = False) -> Trunk:
    """ "tiny" (its weights ship with the package), "resnet18" (random) or "timm:resnet..." (pretrained).

    normalise: whether a ResNet's images are brought to ImageNet's mean and deviation; "tiny" has its own.
    with_norms: whether the convolutions of "tiny", whose batch norms are folded into them, get new ones that
    change nothing in evaluation mode before they are trained; a ResNet has its own.
    Random weights are drawn from torch's generator. Raises BadParameter for another name, WeightsMissing
    without the weights.
    """
    if name == "tiny":
        return _tiny(with_norms)
    if name != "resnet18" and not name.startswith("timm:resnet"):
        raise BadParameter(f"unknown encoder '{name}': expected 'tiny', 'resnet18' or 'timm:resnet...'")
    from ltbench.methods.features.backbones import timm as backbones

    timm = backbones.imported_timm()
    if name == "resnet18":
        model = timm.create_model("resnet18", pretrained=False)
    else:
        request = backbones.parse(name.removeprefix("timm:"))
        _, config = backbones.known_config(timm, request.name)
        file = backbones.weights_file(request, config, weights_root)
        model = backbones.built(timm, request.name, file, {}).requires_grad_(True)
    stem = nn.Sequential(model.conv1, model.bn1, model.act1, model.maxpool)
    stages = [model.layer1, model.layer2, model.layer3, model.layer4]
    widths = tuple(entry["num_chs"] for entry in model.feature_info[1:])
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if normalise else ((0.0,) * 3, (1.0,) * 3)
    return Trunk(stem, stages, widths, mean, std)


class _Activated(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.inner(maps))


class _Normed(nn.Conv2d):
    """A convolution of "tiny" with a batch norm behind it."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.norm(super().forward(maps))


def _tiny(with_norms: bool) -> Trunk:
    from safetensors.torch import load_file

    from ltbench.methods.features.backbones import tiny

    tiny.load("", device="cpu", weights_root=None, layers=None)  # raises where the file is not this version's
    network = tiny.Network(_Normed if with_norms else tiny.convolution)
    weights = {key: value.to(torch.float32) for key, value in load_file(tiny.WEIGHTS).items()}
    own = {key for key in network.state_dict() if ".norm." in key}
    network.load_state_dict({key: weights[key] for key in network.state_dict().keys() - own}, strict=not own)
    stages = [_Activated(stage) for stage in network.stages]
    return Trunk(_Activated(network.stem), stages, tiny.WIDTHS, (tiny._MIDDLE,) * 3, (tiny._SPREAD,) * 3)
