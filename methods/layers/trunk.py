"""Convolutional networks that are trained further: a ResNet or an EfficientNet, with weights or without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ltbench.methods.errors import BadParameter


class Trunk(nn.Module):
    """Maps after each stage, finest first, of images in [0, 1]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        widths: tuple[int, ...],
        mean: torch.Tensor,
        std: torch.Tensor,
        *,
        train_norms: bool = True,
    ) -> None:
        """mean and std: of the images that the network was trained with, (1, 3, 1, 1); train_norms: whether
        norms are those of the batch in training."""
        super().__init__()
        self.train_norms = train_norms
        self.stem, self.stages, self.widths = stem, nn.ModuleList(stages), widths
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def train(self, mode: bool = True) -> Trunk:
        """Set training mode, in which norms keep their statistics unless these are trained, too."""
        super().train(mode)
        if not self.train_norms:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def start(self, images: torch.Tensor) -> torch.Tensor:
        """Output of the stem for float32 images (B, 3, H, W) in [0, 1]: the input of the first stage."""
        # Depthwise convolutions take a third less time on a CPU with channels last.
        images = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return self.stem(images)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps, found = self.start(images), []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found


def load(name: str, weights_root: Path | None, *, train_norms: bool = True) -> Trunk:
    """Load a network whose weights are trained further, with its maps at strides 4, 8, 16 and 32.

    Args:
        name: "timm:NAME" of a ResNet or an EfficientNet (pretrained; "?mean=0&std=1" leaves the images as
            they are), or "resnet18" (random weights, drawn from torch's generator).
        weights_root: Folder with weights that is looked in first.
        train_norms: Whether norms are those of the batch in training; false = they keep their statistics.

    Raises:
        BadParameter: `name` is no such network, or random weights are to keep the statistics of their norms.
        WeightsMissing: Its weights are not on this machine.
    """
    if name != "resnet18" and not name.startswith("timm:"):
        raise BadParameter(f"unknown encoder '{name}': expected 'timm:NAME' or 'resnet18' (random weights)")
    from ltbench.methods.features import timm_weights
    from ltbench.methods.features.backbones.timm import built

    timm = timm_weights.imported_timm()
    if name == "resnet18":
        if not train_norms:
            raise BadParameter(
                "train_norms is false: random weights have no statistics of norms to keep; set train_norms = "
                "true for encoder 'resnet18'"
            )
        model = timm.create_model("resnet18", pretrained=False)
        mean, std = (torch.tensor(model.pretrained_cfg[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    else:
        found = timm_weights.pretrained(name.removeprefix("timm:"), weights_root)
        model = built(timm, found.name, found.file, found.options).requires_grad_(True)
        mean, std = found.mean, found.std
    stem, stages = _parts(model, name)
    widths = tuple(entry["num_chs"] for entry in model.feature_info[1:])
    return Trunk(stem, stages, widths, mean, std, train_norms=train_norms).to(
        memory_format=torch.channels_last
    )


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
