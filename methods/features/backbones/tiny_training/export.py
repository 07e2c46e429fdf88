"""From a trained network to the file that ships: normalisation folded in, statistics of the features beside
it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ltbench.methods.features.backbones import desc, tiny


def normalised_unit(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The unit of the network in training: a convolution and batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


def folded(trained: tiny.Network) -> tiny.Network:
    """The same function of an image without batch normalisation, its weights rounded to float16."""
    plain = tiny.Network(tiny.convolution)
    units = dict(trained.named_modules())
    for name, target in plain.named_modules():
        if isinstance(target, nn.Conv2d):
            convolution, normalisation = units[name]
            fused = fuse_conv_bn_eval(convolution.eval(), normalisation.eval())
            target.load_state_dict({k: v.half().float() for k, v in fused.state_dict().items()})
    return plain.eval()


@torch.inference_mode()
def statistics(network: tiny.Network, made: npt.NDArray[np.uint8], side: int) -> dict[str, torch.Tensor]:
    """Of pictures enlarged to `side`: "mean" and "std" (225,) of the joint maps."""
    total = torch.zeros(2, tiny.CHANNELS, dtype=torch.float64)
    positions = 0
    for part in torch.from_numpy(made).split(20):
        enlarged = functional.interpolate(part.to(torch.float32), size=(side, side), mode="bilinear")
        images = desc.brightened(enlarged / 255)
        maps = torch.cat([desc.describe(images), tiny.joint(network(images))], dim=1).to(torch.float64)
        total += torch.stack([maps.sum(dim=(0, 2, 3)), maps.square().sum(dim=(0, 2, 3))])
        positions += maps[:, 0].numel()
    mean, square = total / positions
    spread = (square - mean.square()).clamp_min(1e-8).sqrt()
    return {"mean": mean.float(), "std": spread.float()}


def shipped(network: tiny.Network, statistics: dict[str, torch.Tensor]) -> bytes:
    """Content of the weights file: float16 weights, float32 statistics."""
    from safetensors.torch import save

    weights = {name: values.half().contiguous() for name, values in network.state_dict().items()}
    return save({**weights, **statistics}, metadata={"recipe": tiny.RECIPE})
