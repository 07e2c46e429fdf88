"""RD: reverse distillation, a decoder that mirrors its teacher from a compressed embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.transform import VIEWED
from ltbench.methods.reconstruction.arrangements import pyramid
from ltbench.methods.reconstruction.hosting import Host, fit_host
from ltbench.methods.reconstruction.judging import max_of_map
from ltbench.methods.reconstruction.rd_student import RdNetwork, middle_grid
from ltbench.methods.reconstruction.recipes import ranked_by_patches, seconds, steps_of
from ltbench.methods.reconstruction.teacher import SHIFTED, Teacher, TeacherSettings
from ltbench.methods.training.randomness import repeatable
from ltbench.methods.training.schedules import constant
from ltbench.splits.images import ImageSet

PYRAMID = ("stride4", "stride8", "stride16")


@dataclass
class Rd:
    """Sum over three scales of 1 - cosine of whole maps; image score = maximum of the smoothed map."""

    card: ClassVar[Card] = Card(
        title="RD",
        family="distillation",
        summary="Three stages of a frozen residual network are fused and compressed into one embedding, from "
        "which a mirrored decoder rebuilds them in reverse order. Anomalies do not survive the bottleneck.",
        paper="Deng & Li, CVPR 2022",
        url="https://github.com/hq-deng/RD4AD",
        bibtex="""@inproceedings{deng2022rd,
  title     = {Anomaly Detection via Reverse Distillation from One-Class Embedding},
  author    = {Deng, Hanqiu and Li, Xingyu},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2022}
}""",
        licence="MIT",
        deviations=(
            "backbone: the default is a smaller network; the paper's is 'timm:wide_resnet50_2.tv_in1k' at "
            "size = 256.",
            "grid, bottleneck_blocks, decoder_blocks, batch_size, learning_rate and iterations: the defaults "
            "are for narrow features and a processor; the paper has none, 3, 3,4,6, 16, 5e-3 and "
            "epochs = 200.",
            SHIFTED,
            "Where features have negative values, as those of a linear bottleneck, the decoder's stages end "
            "without the ReLU, which could not rebuild them.",
            "The loss takes whole maps as vectors, as the authors' code does; the paper's formula has "
            "points.",
            "map_side: by default the three scales are added on the finest grid; the authors add them at "
            "full size (256).",
            VIEWED,
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 3

    backbone: str = DEFAULT_BACKBONE
    """Frozen features; the paper's: timm:wide_resnet50_2.tv_in1k."""
    layers: tuple[str, ...] = ()
    """Three layers, finest first, or one that is pooled to three scales; none = the last maps at
    strides 4, 8 and 16 (layer1 to layer3 of a residual network)."""
    size: int | None = None
    """Side in pixels of what the backbone sees (256 in the paper); none = the view's."""
    grid: int | None = 56
    """Side of the finest scale; none = the backbone's own (64 in the paper)."""
    bottleneck_blocks: int = 1
    """Residual blocks that compress (paper: 3)."""
    decoder_blocks: tuple[int, ...] = (1, 1, 1)
    """Residual blocks per decoder stage, coarse to fine (paper: 3, 4, 6)."""
    width_ratio: float = 0.5
    """Channels inside a residual block per channel of its output; 0.5 as in a Wide-ResNet-50."""
    iterations: int = 600
    """Training steps, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (paper: 200)."""
    batch_size: int = 8
    """Images per step; batch statistics need at least a few (paper: 16)."""
    learning_rate: float = 2e-3
    """Adam learning rate, constant, with beta1 = 0.5 (paper: 5e-3)."""
    map_side: int | None = None
    """Side of the map on which the three scales are added; none = the finest scale's (paper: 256)."""
    smoothing: float = 4.0
    """Deviation of the Gaussian over the map, in pixels of a map of 256 x 256."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU; cosines stay in float32."""

    def host(self, train: ImageSet, context: Context) -> Host:
        """Teacher, network and settings, ready to be trained on this training set."""
        settings = TeacherSettings(self.backbone, self._layers(), pyramid(self.grid), self.size)
        teacher = Teacher(settings, context)
        targets = teacher.learn(train, context.rng, title="embed training images")
        example = targets[torch.tensor([0])]
        channels = [features.shape[1] for features in example]
        signed = any(bool((features < 0).any()) for features in example)
        return Host(
            teacher=teacher,
            targets=targets,
            images=train,
            class_ids=None,
            build=lambda: self._network(channels, signed=signed),
            optimizer=self._optimizer,
            schedule=lambda _: constant,
            iterations=self._steps(len(train)),
            batch_size=self.batch_size,
            drop_last=False,
            predict=partial(max_of_map, sigma=self.smoothing, crop=context.view.crop),
            max_seconds=seconds(self.max_minutes),
            mixed_precision=self.mixed_precision,
            memory_map=middle_grid,
        )

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._trained = fit_host(self.host(train, context), context)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        return self._trained.predict(test)

    @repeatable()
    def rank(self, train: ImageSet, context: Context) -> npt.NDArray[np.float32]:
        """Mean of the top per cent of each training image's patches."""
        return ranked_by_patches(self._trained)

    def _network(self, channels: Sequence[int], *, signed: bool = False) -> RdNetwork:
        return RdNetwork(
            channels,
            bottleneck_blocks=self.bottleneck_blocks,
            decoder_blocks=self.decoder_blocks,
            width_ratio=self.width_ratio,
            map_side=self.map_side,
            signed=signed,
        )

    def _optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(module.parameters(), lr=self.learning_rate, betas=(0.5, 0.999))

    def _steps(self, images: int) -> int:
        return steps_of(self.iterations, self.epochs, images, self.batch_size, drop_last=False)

    def _layers(self) -> tuple[str, ...]:
        return self.layers or (PYRAMID if self.backbone.startswith("timm:") else ())
