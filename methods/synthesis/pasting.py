"""CutPaste's synthetic defects: a patch, or a thin rotated scar, of an image pasted elsewhere on it.

Images are float32 (3, H, W) in [0, 1]; sizes are shares, or pixels of a 256 x 256 image (Li et al. 2021).
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ltbench.methods.training.precision import in_full_precision

AREA = (0.02, 0.15)
"""Bounds of a patch's area, as a share of the image."""
ASPECT = (0.3, 1 / 0.3)
"""Bounds of a patch's aspect ratio, width by height."""
SCAR_WIDTH = (2.0, 16.0)
"""Bounds of a scar's width in pixels of a 256 x 256 image."""
SCAR_LENGTH = (10.0, 25.0)
"""Bounds of a scar's length in pixels of a 256 x 256 image."""
SCAR_TURN = 45.0
"""Largest rotation of a scar to either side, in degrees."""
PAPER_SIDE = 256
JITTER = 0.1
"""Strength of the colour jitter, see `jittered`."""
_GREY = (0.299, 0.587, 0.114)


@in_full_precision
def jittered(image: torch.Tensor, rng: np.random.Generator, strength: float = JITTER) -> torch.Tensor:
    """Jitter brightness, contrast, saturation and hue by up to `strength` in random order, within [0, 1].

    The hue is that of HSV, and `strength` a share of its circle.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, size=3)
    turn = rng.uniform(-strength, strength)
    grey = image.new_tensor(_GREY)
    for number in rng.permutation(4):
        if number == 0:
            image = image * brightness
        elif number == 3:
            image = _rotate_hue(image, turn)
        else:
            light = torch.einsum("c,chw->hw", grey, image)
            light, factor = (light.mean(), contrast) if number == 1 else (light, saturation)
            image = (image - light) * factor + light
        image = image.clamp(0, 1)
    return image


def cut_paste(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Paste a colour-jittered rectangle of the image at a random position of a copy (CutPaste)."""
    height, width = _rectangle(image.shape[1:], rng)
    return _pasted(image, jittered(_cut(image, height, width, rng), rng), None, rng)


def scarred(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Paste a thin, rotated, colour-jittered strip of the image on a copy (CutPaste-Scar)."""
    scale = image.shape[2] / PAPER_SIDE
    width = max(1, round(rng.uniform(*SCAR_WIDTH) * scale))
    length = max(2, round(rng.uniform(*SCAR_LENGTH) * scale))
    strip = jittered(_cut(image, min(length, image.shape[1]), min(width, image.shape[2]), rng), rng)
    turned, inside = turned_piece(strip, rng.uniform(-SCAR_TURN, SCAR_TURN))
    return _pasted(image, turned, inside, rng)


def turned_piece(piece: torch.Tensor, degrees: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotate a piece (3, h, w) counterclockwise by nearest-neighbour sampling.

    Returns the canvas (3, H, W), of the size that Pillow gives it, and the mask (H, W) of the piece on it.
    """
    _, height, width = piece.shape
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    rows = _cells(height, abs(height * cosine) + abs(width * sine))
    columns = _cells(width, abs(height * sine) + abs(width * cosine))
    row = torch.arange(rows, dtype=torch.float64)[:, None] + (1 - rows) / 2
    column = torch.arange(columns, dtype=torch.float64)[None] + (1 - columns) / 2
    source_row = (sine * column + cosine * row + height / 2).floor().long()
    source_column = (cosine * column - sine * row + width / 2).floor().long()
    inside = (source_row >= 0) & (source_row < height) & (source_column >= 0) & (source_column < width)
    canvas = piece[:, source_row.clamp(0, height - 1), source_column.clamp(0, width - 1)]
    return canvas, inside.to(piece.device)


def _rectangle(shape: torch.Size, rng: np.random.Generator) -> tuple[int, int]:
    """Draw height and width of a patch, with uniform area and log-uniform aspect ratio."""
    rows, columns = shape
    area = rng.uniform(*AREA) * rows * columns
    aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
    height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
    return min(max(1, height), rows), min(max(1, width), columns)


def _cut(image: torch.Tensor, height: int, width: int, rng: np.random.Generator) -> torch.Tensor:
    """Cut a rectangle of this size at a random position."""
    top, left = _position(image, height, width, rng)
    return image[:, top : top + height, left : left + width]


def _pasted(
    image: torch.Tensor, piece: torch.Tensor, inside: torch.Tensor | None, rng: np.random.Generator
) -> torch.Tensor:
    """Paste a piece, where `inside` is true, at a random position of a copy of the image."""
    piece = piece[:, : image.shape[1], : image.shape[2]]
    _, height, width = piece.shape
    top, left = _position(image, height, width, rng)
    copy = image.clone()
    target = copy[:, top : top + height, left : left + width]
    if inside is None:
        target.copy_(piece)
    else:
        target.copy_(torch.where(inside[:height, :width], piece, target))
    return copy


def _position(image: torch.Tensor, height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
    """Draw the top left corner of a rectangle inside the image."""
    return int(rng.uniform(0, image.shape[1] - height)), int(rng.uniform(0, image.shape[2] - width))


def _cells(length: int, turned: float) -> int:
    """Size in pixels of a canvas axis for a rotated extent centred on an axis of `length` pixels."""
    return math.ceil((length + turned) / 2) - math.floor((length - turned) / 2)


def _rotate_hue(image: torch.Tensor, share: float) -> torch.Tensor:
    """Rotate the HSV hue by a share of its circle, keeping value and chroma."""
    red, green, blue = image
    largest = image.amax(dim=0)
    chroma = largest - image.amin(dim=0)
    unit = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(largest == green, (blue - red) / unit + 2, (red - green) / unit + 4)
    hue = torch.where(largest == red, (green - blue) / unit, hue) + 6 * share
    sixths = [(hue + start) % 6 for start in (5, 3, 1)]
    return torch.stack([largest - chroma * torch.minimum(k, 4 - k).clamp(0, 1) for k in sixths])
