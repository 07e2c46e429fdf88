"""CutPaste's defects: a piece of an image, or a thin turned one, pasted elsewhere on the same image.

Images are float32 (3, H, W) in [0, 1]; sizes are shares, or pixels of a 256 x 256 image (Li et al. 2021).
"""

from __future__ import annotations

import math

import numpy as np
import torch

from methods.training.precision import in_full_precision

AREA = (0.02, 0.15)
"""Of a pasted patch, as a share of the image."""
ASPECT = (0.3, 1 / 0.3)
SCAR_WIDTH = (2.0, 16.0)
SCAR_LENGTH = (10.0, 25.0)
SCAR_TURN = 45.0
"""Largest turn of a scar to either side, in degrees."""
PAPER_SIDE = 256
JITTER = 0.1
_GREY = (0.299, 0.587, 0.114)
# Chroma axes of YIQ, in which a turn changes the hue.
_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


@in_full_precision
def jittered(image: torch.Tensor, rng: np.random.Generator, strength: float = JITTER) -> torch.Tensor:
    """Brightness, contrast, saturation and hue changed at random by up to `strength`, clipped to [0, 1]."""
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, size=3)
    angle = rng.uniform(-strength, strength) * 2 * math.pi
    image = (image * brightness).clamp(0, 1)
    grey = image.new_tensor(_GREY)
    middle = torch.einsum("c,chw->hw", grey, image).mean()
    image = ((image - middle) * contrast + middle).clamp(0, 1)
    light = torch.einsum("c,chw->hw", grey, image)
    image = ((image - light) * saturation + light).clamp(0, 1)
    return torch.einsum("dc,chw->dhw", _hue_turn(angle).to(image), image).clamp(0, 1)


def cut_paste(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A copy with a jittered rectangle of itself pasted at a random place."""
    height, width = _rectangle(image.shape[1:], rng)
    return _pasted(image, jittered(_cut(image, height, width, rng), rng), None, rng)


def scarred(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A copy with a thin, turned, jittered strip of itself pasted at a random place."""
    scale = image.shape[2] / PAPER_SIDE
    width = max(1, round(rng.uniform(*SCAR_WIDTH) * scale))
    length = max(2, round(rng.uniform(*SCAR_LENGTH) * scale))
    strip = jittered(_cut(image, min(length, image.shape[1]), min(width, image.shape[2]), rng), rng)
    turned, inside = turned_piece(strip, rng.uniform(-SCAR_TURN, SCAR_TURN))
    return _pasted(image, turned, inside, rng)


def turned_piece(piece: torch.Tensor, degrees: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A piece (3, h, w) turned clockwise, on a canvas (3, H, W) that holds it, and where on it it lies."""
    _, height, width = piece.shape
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    rows = math.ceil(abs(height * cosine) + abs(width * sine) - 1e-6)
    columns = math.ceil(abs(height * sine) + abs(width * cosine) - 1e-6)
    row = torch.arange(rows)[:, None] - (rows - 1) / 2
    column = torch.arange(columns)[None] - (columns - 1) / 2
    source_row = (cosine * row - sine * column + (height - 1) / 2).round().long()
    source_column = (sine * row + cosine * column + (width - 1) / 2).round().long()
    inside = (source_row >= 0) & (source_row < height) & (source_column >= 0) & (source_column < width)
    found = piece[:, source_row.clamp(0, height - 1), source_column.clamp(0, width - 1)]
    return found, inside.to(piece.device)


def _rectangle(shape: torch.Size, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a patch: area uniform, aspect uniform in its logarithm."""
    rows, columns = shape
    area = rng.uniform(*AREA) * rows * columns
    aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
    height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    return min(max(1, height), rows), min(max(1, width), columns)


def _cut(image: torch.Tensor, height: int, width: int, rng: np.random.Generator) -> torch.Tensor:
    top, left = _place(image, height, width, rng)
    return image[:, top : top + height, left : left + width]


def _pasted(
    image: torch.Tensor, piece: torch.Tensor, inside: torch.Tensor | None, rng: np.random.Generator
) -> torch.Tensor:
    piece = piece[:, : image.shape[1], : image.shape[2]]
    _, height, width = piece.shape
    top, left = _place(image, height, width, rng)
    copy = image.clone()
    target = copy[:, top : top + height, left : left + width]
    if inside is None:
        target.copy_(piece)
    else:
        target.copy_(torch.where(inside[:height, :width], piece, target))
    return copy


def _place(image: torch.Tensor, height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(image.shape[1] - height + 1)), int(rng.integers(image.shape[2] - width + 1))


def _hue_turn(angle: float) -> torch.Tensor:
    """(3, 3) on RGB: the chroma plane of YIQ turned by so many radians."""
    to_yiq = torch.tensor(_YIQ, dtype=torch.float64)
    sine, cosine = math.sin(angle), math.cos(angle)
    turn = torch.tensor([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]], dtype=torch.float64)
    return torch.linalg.solve(to_yiq, turn @ to_yiq)
