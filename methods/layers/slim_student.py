"""Student of MKD: a slim VGG whose last convolutions before a pooling have the teacher's channels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.errors import BadParameter

WIDTH = 16
"""Channels of all convolutions without a matching teacher layer (Salehi et al., CVPR 2021)."""
DEEP_FROM = 2
"""First stage (from 0) with three convolutions instead of two, as in VGG-16."""


class GuidedRectifier(torch.autograd.Function):
    """ReLU of guided backpropagation: negative gradients become 0 (Springenberg et al. 2015)."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        """Compute ReLU."""
        context.save_for_backward(values)
        return values.clamp_min(0)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Propagate gradients that are positive, where the input was positive."""
        (values,) = context.saved_tensors
        return gradient.clamp_min(0) * (values > 0)


class SlimStudent(nn.Module):
    """Network from images (B, 3, s, s) to maps with the shapes of the teacher's, finest first.

    Every stage halves the resolution by max pooling. If the teacher has a layer of the resulting side, the
    stage's last convolution has that layer's channels, and the pooled map is an output.
    """

    def __init__(self, side: int, layers: Sequence[tuple[int, int]], *, rectified: bool) -> None:
        """Build the stages.

        Args:
            side: Side of the images in pixels.
            layers: (channels, side) of the teacher's layers, finest first.
            rectified: Whether the teacher's layers end with a ReLU, so that the student's do too.

        Raises:
            BadParameter: If a teacher layer has a side that no stage of the student has.
        """
        super().__init__()
        self._rectified = rectified
        self.guided = False
        """Whether ReLUs propagate gradients by `GuidedRectifier`."""
        wanted = {size: channels for channels, size in layers}
        sides = [side]
        while sides[-1] > min(wanted):
            sides.append(sides[-1] // 2)
        if len(wanted) != len(layers) or not wanted.keys() <= set(sides[1:]):
            raise BadParameter(
                f"the student's maps have sides {', '.join(map(str, sides[1:]))}, the teacher's layers "
                f"{', '.join(str(size) for _, size in layers)}: choose 'layers' and 'size' so that each is "
                "among the student's, and no two alike"
            )
        self.stages = nn.ModuleList()
        before = 3
        for depth, size in enumerate(sides[1:]):
            slim = 1 if depth < DEEP_FROM else 2
            widths = (before, *[WIDTH] * slim, wanted.get(size, WIDTH))
            self.stages.append(nn.ModuleList(_convolution(*pair) for pair in pairwise(widths)))
            before = widths[-1]
        self._taps = [size in wanted for size in sides[1:]]
        # The last convolution of a stage has no norm.
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(step.out_channels) for step in list(stage)[:-1])
            for stage in self.stages
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Compute the maps of images (B, 3, s, s), finest first."""
        maps, outputs_of_taps = images, []
        for stage, norms, is_tap in zip(self.stages, self.norms, self._taps, strict=True):
            for step, norm in zip(list(stage)[:-1], norms, strict=True):
                maps = self._relu(norm(step(maps)))
            last = stage[-1](maps)
            if is_tap and not self._rectified:
                outputs_of_taps.append(functional.avg_pool2d(last, 2))
            maps = functional.max_pool2d(self._relu(last), 2)
            if is_tap and self._rectified:
                outputs_of_taps.append(maps)
        return outputs_of_taps

    def _relu(self, values: torch.Tensor) -> torch.Tensor:
        """Apply the ReLU, with guided gradients if `guided` is set."""
        return GuidedRectifier.apply(values) if self.guided else functional.relu(values)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Padded 3 x 3 convolution without bias, with Xavier-uniform weights."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.xavier_uniform_(convolution.weight)
    return convolution
