"""Defects pasted into crops, and where they show: the second task that `tiny` is trained on."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

VISIBLE, HIDDEN = 0.06, 0.02
"""Largest change in a cell above which it counts as defective, and below which as good; between, it is
ignored."""


def paste(crops: torch.Tensor, cell: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops (B, 3, S, S) with a defect in about two of three, and the labels (B, 1, S / cell, S / cell).

    Labels are 1 where a defect shows, 0 where nothing changed, -1 where one cannot tell.
    """
    count, _, size, _ = crops.shape
    mask = _pick(
        torch.stack(
            [blobs(count, size, generator), strokes(count, size, generator), spots(count, size, generator)]
        ),
        generator,
    )
    strength = _uniform(generator, (count, 1, 1, 1), 0.35, 1.0)
    strength = strength * (torch.rand(count, 1, 1, 1, generator=generator) < 0.67)
    pasted = crops + strength * mask * (_pick(foreign(crops, generator), generator) - crops)
    change = functional.max_pool2d((pasted - crops).abs().amax(dim=1, keepdim=True), cell)
    labels = torch.where(change > VISIBLE, 1.0, torch.where(change < HIDDEN, 0.0, -1.0))
    return pasted, labels


def foreign(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What a defect may be filled with, (7, B, 3, S, S): other and displaced content, tone, blur,
    contrast, a colour."""
    count, _, size, _ = crops.shape
    down, across = (int(_uniform(generator, (1,), 0.2, 0.8) * size) for _ in range(2))
    mean = crops.mean(dim=(2, 3), keepdim=True)
    tone = _uniform(generator, (count, 1, 1, 1), 0.1, 0.5) * _sign(count, generator)
    tint = torch.randn(count, 3, 1, 1, generator=generator) * 0.08
    contrast = torch.where(torch.rand(count, 1, 1, 1, generator=generator) < 0.5, -0.7, 1.9)
    return torch.stack(
        [
            crops.roll(1, dims=0),
            crops.roll((down, across), dims=(2, 3)),
            crops.transpose(2, 3).flip(3),
            crops + tone + tint,
            functional.avg_pool2d(functional.pad(crops, (4, 4, 4, 4), mode="replicate"), 9, stride=1),
            mean + contrast * (crops - mean),
            torch.rand(count, 3, 1, 1, generator=generator).expand_as(crops),
        ]
    )


def blobs(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """(B, 1, S, S) soft masks of one irregular patch each, 6 to 30 pixels wide."""
    down, across = _offsets(count, size, generator)
    radius = _log_uniform(generator, (count, 1, 1), 3, 15)
    rough = torch.randn(count, 1, 7, 7, generator=generator)
    rough = functional.interpolate(rough, size=(size, size), mode="bicubic", align_corners=False)[:, 0]
    angle = _uniform(generator, (count, 1, 1), 0, math.pi)
    slim = _uniform(generator, (count, 1, 1), 1, 2.5)
    along = across * angle.cos() + down * angle.sin()
    beside = (down * angle.cos() - across * angle.sin()) * slim
    distance = torch.hypot(along, beside) / radius - 1 - 0.35 * rough
    return (0.5 - distance * radius / 1.5).clamp(0, 1)[:, None]


def strokes(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """(B, 1, S, S) soft masks of one bent line each, 1 to 5 pixels thick."""
    down, across = _offsets(count, size, generator)
    angle = _uniform(generator, (count, 1, 1), 0, math.pi)
    along = across * angle.cos() + down * angle.sin()
    bend = _uniform(generator, (count, 1, 1), -0.02, 0.02)
    wave = _uniform(generator, (count, 1, 1), 0, 2.5) * torch.sin(
        along / _uniform(generator, (count, 1, 1), 3, 9)
    )
    beside = down * angle.cos() - across * angle.sin() + bend * along.square() + wave
    half_length = _uniform(generator, (count, 1, 1), 6, 30)
    half_width = _log_uniform(generator, (count, 1, 1), 0.5, 2.5)
    outside = torch.maximum(along.abs() - half_length, beside.abs() - half_width)
    return (0.5 - outside).clamp(0, 1)[:, None]


def spots(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """(B, 1, S, S) soft masks of four small discs each."""
    masks = torch.zeros(count, size, size)
    for _ in range(4):
        down, across = _offsets(count, size, generator)
        radius = _log_uniform(generator, (count, 1, 1), 1, 4)
        masks = torch.maximum(masks, (0.5 - torch.hypot(down, across) + radius).clamp(0, 1))
    return masks[:, None]


def _offsets(count: int, size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns (B, S, S) counted from a random middle."""
    grid = torch.arange(size, dtype=torch.float32)
    middle = _uniform(generator, (2, count, 1, 1), 0.1, 0.9) * size
    down, across = torch.meshgrid(grid, grid, indexing="ij")
    return down - middle[0], across - middle[1]


def _pick(choices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """For each row, one of the choices (K, B, ...)."""
    count = choices.shape[1]
    chosen = torch.randint(len(choices), (count,), generator=generator)
    return choices[chosen, torch.arange(count)]


def _uniform(generator: torch.Generator, shape: tuple[int, ...], low: float, high: float) -> torch.Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _log_uniform(generator: torch.Generator, shape: tuple[int, ...], low: float, high: float) -> torch.Tensor:
    return _uniform(generator, shape, math.log(low), math.log(high)).exp()


def _sign(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(2, (count, 1, 1, 1), generator=generator) * 2.0 - 1
