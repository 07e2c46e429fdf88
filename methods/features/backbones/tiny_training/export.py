"""From a trained network to the file that ships: normalisation folded in, statistics of the features beside
it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from methods.features.backbones import desc, tiny


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
def statistics(
    network: tiny.Network, pictures: npt.NDArray[np.uint8], side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (225,) of the joint features over pictures enlarged to `side`."""
    total = torch.zeros(tiny.CHANNELS, dtype=torch.float64)
    square = torch.zeros(tiny.CHANNELS, dtype=torch.float64)
    count = 0
    for picture in torch.from_numpy(pictures).split(20):
        enlarged = functional.interpolate(picture.float(), size=(side, side), mode="bilinear")
        images = desc.equalised(enlarged.round().to(torch.uint8))
        maps = torch.cat([desc.describe(images), tiny.joint(network(images))], dim=1).double()
        total += maps.sum(dim=(0, 2, 3))
        square += maps.square().sum(dim=(0, 2, 3))
        count += maps.shape[0] * maps.shape[2] * maps.shape[3]
    mean = total / count
    spread = (square / count - mean.square()).clamp_min(1e-8).sqrt()
    return mean.float(), spread.float()


def shipped(network: tiny.Network, mean: torch.Tensor, std: torch.Tensor) -> bytes:
    """Content of the weights file: float16 weights, float32 statistics."""
    from safetensors.torch import save

    tensors = {name: values.half().contiguous() for name, values in network.state_dict().items()}
    return save({**tensors, "mean": mean, "std": std}, metadata={"recipe": tiny.RECIPE})
