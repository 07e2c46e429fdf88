"""Shared settings of Dinomaly and INP-Former: teacher, optimizer, memory features, ranking of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.base import Context
from ltbench.methods.blocks.progressive import robust_maximum
from ltbench.methods.features import block_groups
from ltbench.methods.reconstruction.arrangements import as_they_are, side_by_side
from ltbench.methods.reconstruction.hosting import Host, Student, TrainedHost
from ltbench.methods.reconstruction.judging import top_of_map
from ltbench.methods.reconstruction.teacher import Teacher, TeacherSettings
from ltbench.methods.training.schedules import Schedule
from ltbench.methods.training.stable_adamw import StableAdamW
from ltbench.splits.images import ImageSet

Floats = npt.NDArray[np.float32]

TOKEN_GROUPS = ("tokens.2-5", "tokens.6-9")
"""Two groups of four blocks of a transformer with twelve blocks, as in Dinomaly and INP-Former."""
WARM_UP = 100
FINAL_RATE = 0.1
"""Final learning rate as a share of its peak."""


class TokenFields(Protocol):
    """Fields of a method that reconstructs tokens."""

    backbone: str
    layers: tuple[str, ...]
    size: int | None
    grid: int | None
    width: int | None
    iterations: int
    epochs: float | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    clip: float
    smoothing: float
    top_percent: float
    max_minutes: float | None
    mixed_precision: bool


def takes_tokens(method: TokenFields) -> bool:
    """Whether the method uses tokens of a vision transformer, by the names of its layers or by default."""
    if method.layers:
        return block_groups.asked_for(method.layers)
    return method.backbone.startswith(("timm:vit_", "timm:test_vit"))


def token_teacher(method: TokenFields, context: Context) -> Teacher:
    """Build the teacher: groups of a transformer's blocks, or the concatenated layers of another backbone."""
    if takes_tokens(method):
        settings = TeacherSettings(
            method.backbone, method.layers or TOKEN_GROUPS, as_they_are, method.size, method.width
        )
    else:
        settings = TeacherSettings(
            method.backbone, method.layers, side_by_side(method.grid), method.size, method.width
        )
    return Teacher(settings, context)


def token_host(
    method: TokenFields,
    train: ImageSet,
    context: Context,
    teacher: Teacher,
    *,
    build: Callable[[int, int], Student],
) -> Host:
    """Build the host of Dinomaly or INP-Former.

    Memory banks hold the normalised patches of a transformer's last block, or else the targets. Maps of the
    student are upsampled by way of the backbone's input size, maps of memory banks directly, as in the
    authors' evaluations.

    Args:
        method: Hyper-parameters.
        train: Training images.
        context: Device, random numbers, cache and work folder.
        teacher: Source of the targets.
        build: Function from (channels, groups) of the targets to a student.
    """
    targets = teacher.learn(train, context.rng, title="embed training images")
    example = targets[torch.tensor([0])]
    memory = None
    if takes_tokens(method):
        memory = Teacher(
            TeacherSettings(method.backbone, (block_groups.FINAL,), as_they_are, method.size), context
        )
    crop = context.view.crop
    judged = partial(top_of_map, percent=method.top_percent, sigma=method.smoothing, crop=crop)
    return Host(
        teacher=teacher,
        targets=targets,
        images=train,
        class_ids=None,
        build=lambda: build(example[0].shape[1], len(example)),
        optimizer=lambda module: stable_adamw(module, method.learning_rate, method.weight_decay),
        schedule=warmed,
        iterations=steps_of(method.iterations, method.epochs, len(train), method.batch_size),
        batch_size=method.batch_size,
        predict=partial(judged, via=method.size or crop),
        predict_memory=partial(judged, upsample="bilinear"),
        clip=method.clip,
        max_seconds=seconds(method.max_minutes),
        mixed_precision=method.mixed_precision,
        memory=memory,
    )


def stable_adamw(module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Build the optimizer of Dinomaly and INP-Former."""
    return StableAdamW(module.parameters(), lr=learning_rate, weight_decay=weight_decay)


def warmed(iterations: int) -> Schedule:
    """Schedule of Dinomaly and INP-Former: linear warm-up in 100 steps, then cosine decay towards a tenth.

    The cosine would reach a tenth one step after the last. In a training below 1000 steps, the warm-up is a
    tenth of the steps.
    """
    warm_up = min(WARM_UP, iterations // 10)

    def factor(iteration: int) -> float:
        if iteration < warm_up:
            return iteration / max(1, warm_up - 1)
        done = (iteration - warm_up) / (iterations - warm_up)
        return FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2

    return factor


def steps_of(
    iterations: int, epochs: float | None, images: int, batch_size: int, *, drop_last: bool = True
) -> int:
    """Number of training steps.

    Args:
        iterations: Steps if `epochs` is None.
        epochs: Passes over the training images.
        images: Number of training images.
        batch_size: Images per step.
        drop_last: Omit the incomplete last batch of a pass.
    """
    if epochs is None:
        return iterations
    per_pass = images // batch_size if drop_last else math.ceil(images / batch_size)
    return max(1, round(epochs * max(1, per_pass)))


def seconds(minutes: float | None) -> float | None:
    """Convert minutes to seconds; None stays None."""
    return None if minutes is None else minutes * 60


def ranked_by_patches(trained: TrainedHost, percent: float = 1.0) -> Floats:
    """Anomaly scores (N,) of the training images: mean of the top `percent` % of their patch scores."""
    return robust_maximum(trained.training_grids(), percent).astype(np.float32)
