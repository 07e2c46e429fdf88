"""Convolutional networks that are trained further: a ResNet or an EfficientNet, with weights or without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ltbench.methods.errors import BadParameter


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


def load(name: str, weights_root: Path | None, *, normalise: bool) -> Trunk:
    """Load a network whose weights are trained further, with its maps at strides 4, 8, 16 and 32.

    Args:
        name: "timm:NAME" of a ResNet or an EfficientNet (pretrained), or "resnet18" (random weights, drawn
            from torch's generator).
        weights_root: Folder with weights that is looked in first.
        normalise: Whether images are brought to the mean and deviation that the network was trained with.

    Raises:
        BadParameter: `name` is no such network.
        WeightsMissing: Its weights are not on this machine.
    """
    if name != "resnet18" and not name.startswith("timm:"):
        raise BadParameter(f"unknown encoder '{name}': expected 'timm:NAME' or 'resnet18' (random weights)")
    from ltbench.methods.features.backbones import timm as backbones

    timm = backbones.imported_timm()
    if name == "resnet18":
        model = timm.create_model("resnet18", pretrained=False)
    else:
        request = backbones.parse(name.removeprefix("timm:"))
        _, config = backbones.known_config(timm, request.name)
        file = backbones.weights_file(request, config, weights_root)
        model = backbones.built(timm, request.name, file, {}).requires_grad_(True)
    stem, stages = _parts(model, name)
    widths = tuple(entry["num_chs"] for entry in model.feature_info[1:])
    config = model.pretrained_cfg
    mean, std = (config["mean"], config["std"]) if normalise else ((0.0,) * 3, (1.0,) * 3)
    return Trunk(stem, stages, widths, mean, std)


def _parts(model: nn.Module, name: str) -> tuple[nn.Module, list[nn.Module]]:
    """Stem and four stages, which end at strides 4, 8, 16 and 32."""
    if hasattr(model, "layer4"):
        stem = nn.Sequential(model.conv1, model.bn1, model.act1, model.maxpool)
        return stem, [model.layer1, model.layer2, model.layer3, model.layer4]
    if hasattr(model, "conv_stem") and len(model.blocks) == 7:
        blocks = model.blocks
        stages = [nn.Sequential(*blocks[low:high]) for low, high in ((0, 2), (2, 3), (3, 5), (5, 7))]
        return nn.Sequential(model.conv_stem, model.bn1), stages
    raise BadParameter(
        f"encoder '{name}' is neither a ResNet nor an EfficientNet, which can be trained further"
    )
