"""What hosts on tokens have in common: teacher, optimizer, memory features, ranking of training images."""

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
"""Of a transformer with twelve blocks: two groups of four, as Dinomaly and INP-Former take them."""
WARM_UP = 100
FINAL_RATE = 0.1
"""Learning rate at the end, as a share of its peak."""


class TokenFields(Protocol):
    """The fields of a method that is a host on tokens."""

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
    """Whether the backbone is a vision transformer whose tokens are asked for, by name or by default."""
    if method.layers:
        return block_groups.asked_for(method.layers)
    return method.backbone.startswith(("timm:vit_", "timm:test_vit"))


def token_teacher(method: TokenFields, context: Context) -> Teacher:
    """Groups of a transformer's blocks, or one group of any other backbone's layers side by side."""
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
    """A host whose student is made from (channels, groups) of the teacher's targets.

    Memories are made of the last block's normed patches of a transformer, else of the targets. Maps of the
    student go through the size of the images that the backbone sees, those of memories do not, as in the
    authors' evaluations of both.
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
    """The optimizer of Dinomaly and INP-Former."""
    return StableAdamW(module.parameters(), lr=learning_rate, weight_decay=weight_decay)


def warmed(iterations: int) -> Schedule:
    """Their schedule: from 0 to 1 in 100 steps, then along a cosine that would reach a tenth one step after
    the last; in a short training the warm-up takes a tenth of the steps."""
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
    """Training steps: as given, or of so many passes; `drop_last`: without their incomplete last batch."""
    if epochs is None:
        return iterations
    per_pass = images // batch_size if drop_last else math.ceil(images / batch_size)
    return max(1, round(epochs * max(1, per_pass)))


def seconds(minutes: float | None) -> float | None:
    return None if minutes is None else minutes * 60


def ranked_by_patches(trained: TrainedHost, percent: float = 1.0) -> Floats:
    """(N,) suspicion of the training images: mean of the top per cent of their patches."""
    return robust_maximum(trained.training_grids(), percent).astype(np.float32)
