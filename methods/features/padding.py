"""Zeros around convolutions ("same" padding) as they are at one input size, kept at all sizes.

TensorFlow's "same" padding depends on the size of what is convolved, and timm's layers follow the actual
size. The PyTorch port of EfficientNet that UniAD and HVQ use (lukemelas/EfficientNet-PyTorch) computes it
once, for the size at which a network was trained: 380 pixels for B4, 600 for B7. At 224 pixels some strided
convolutions then begin one pixel further to the left and top.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.errors import BadParameter


class FixedPadding(nn.Module):
    """A convolution behind zeros whose number does not depend on the input."""

    def __init__(self, convolution: nn.Conv2d, sides: Sequence[int]) -> None:
        """sides: height and width of the input whose "same" padding is kept."""
        super().__init__()
        self.convolution = convolution
        down, across = (_same(sides[axis], convolution, axis) for axis in (0, 1))
        self.amounts = (across // 2, across - across // 2, down // 2, down - down // 2)
        """Left, right, top, bottom."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        layer = self.convolution
        padded = functional.pad(maps, self.amounts)
        return functional.conv2d(
            padded, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups
        )


def fix_padding(model: nn.Module, size: object, name: str) -> None:
    """Give every "same" convolution of a timm model the padding that it has for images of `size` x `size`.

    Raises BadParameter for a size that is no positive whole number, and where the model pads otherwise.
    """
    if not isinstance(size, int) or size < 1:
        raise BadParameter(f"option 'padding_size' is '{size}': expected a side in pixels, as in 380")
    from timm.layers import Conv2dSame

    sides: dict[str, torch.Size] = {}
    # On "meta" nothing is computed but shapes.
    sketch = copy.deepcopy(model).to("meta")
    for key, layer in sketch.named_modules():
        if isinstance(layer, Conv2dSame):
            layer.register_forward_pre_hook(
                lambda _, inputs, key=key: sides.__setitem__(key, inputs[0].shape[-2:])
            )
    sketch(torch.empty(1, 3, size, size, device="meta"))
    if not sides:
        raise BadParameter(
            f"option 'padding_size' is given, but timm's model '{name}' has no \"same\" padding that depends "
            "on the size: leave the option away"
        )
    for key, found in sides.items():
        model.set_submodule(key, FixedPadding(model.get_submodule(key), found))


def _same(side: int, convolution: nn.Conv2d, axis: int) -> int:
    stride = convolution.stride[axis]
    reach = (convolution.kernel_size[axis] - 1) * convolution.dilation[axis] + 1
    return max((math.ceil(side / stride) - 1) * stride + reach - side, 0)
