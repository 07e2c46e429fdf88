"""Textures for synthetic defects: photographs of a folder (DTD), or generated ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from ltbench.methods.errors import MethodsError
from ltbench.methods.synthesis.perlin import noise
from ltbench.splits.images import Pixels

CHANGES_AT_ONCE = 3
_ENDINGS = (".jpg", ".jpeg", ".png")


class TextureSource:
    """Source of textures uint8 (side, side, 3): pictures of a folder and its subfolders, or generated."""

    def __init__(self, folder: str, side: int) -> None:
        """Open a folder of pictures, or generate textures if `folder` is "generated".

        Raises MethodsError for a folder without pictures.
        """
        self._side = side
        self._files: list[Path] = []
        if folder == "generated":
            return
        self._files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _ENDINGS)
        if not self._files:
            raise MethodsError(
                f"no pictures of textures in '{folder}': expected .jpg or .png files, such as the folder "
                "'images' of DTD (https://www.robots.ox.ac.uk/~vgg/data/dtd/), or textures = generated"
            )

    def draw(self, rng: np.random.Generator) -> Pixels:
        """Draw a texture, with three of the ten augmentations in `CHANGES` applied (DRAEM)."""
        if self._files:
            picture = Image.open(self._files[int(rng.integers(len(self._files)))]).convert("RGB")
            picture = _resized(picture, self._side)
        else:
            picture = Image.fromarray(generated(self._side, rng))
        for number in rng.choice(len(CHANGES), CHANGES_AT_ONCE, replace=False):
            picture = CHANGES[int(number)](picture, rng)
        return np.asarray(picture)


def _resized(picture: Image.Image, side: int) -> Image.Image:
    """Resize to (side, side) bilinearly without antialiasing, as OpenCV does."""
    columns, rows = (length / side for length in picture.size)
    scale = (columns, 0, 0, 0, rows, 0)
    return picture.transform((side, side), Image.Transform.AFFINE, scale, Image.Resampling.BILINEAR)


def generated(side: int, rng: np.random.Generator) -> Pixels:
    """Generate a texture: stripes, checks or clouds between two colours, distorted by noise, with grain."""
    rows, columns = np.mgrid[:side, :side] / side
    angle, period = rng.uniform(0, math.pi), rng.uniform(2, 16)
    bend = rng.uniform(0, 0.5) * noise((side, side), (4, 4), rng)
    along = (rows * math.cos(angle) + columns * math.sin(angle) + bend) * period
    across = (columns * math.cos(angle) - rows * math.sin(angle) + bend) * period
    kind = int(rng.integers(3))
    if kind == 0:
        share = (np.sin(2 * math.pi * along) + 1) / 2
    elif kind == 1:
        share = (np.floor(along) + np.floor(across)) % 2
    else:
        octaves = [
            noise((side, side), (count, count), rng) / 2**level for level, count in enumerate((4, 8, 16))
        ]
        share = np.clip(sum(octaves) / 2 + 0.5, 0, 1)
    first, second = rng.uniform(0, 255, size=(2, 3))
    picture = first + share[..., None] * (second - first) + rng.normal(0, 12, size=(side, side, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def _per_channel(picture: Image.Image, tables: Sequence[np.ndarray]) -> Image.Image:
    """Map the grey levels of each channel by its own table of 256 values."""
    return picture.point([int(value) for table in tables for value in np.clip(table, 0, 255)])


def _gamma(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Apply a random gamma to each channel."""
    levels = np.arange(256) / 255
    return _per_channel(picture, [255 * levels**power for power in rng.uniform(0.5, 2.0, size=3)])


def _brightness(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Scale and shift the luminance, in random order."""
    factor, summand = rng.uniform(0.8, 1.2), rng.uniform(-30, 30)
    table = np.arange(256)
    if rng.random() < 0.5:
        table = np.clip(table * factor, 0, 255) + summand
    else:
        table = np.clip(table + summand, 0, 255) * factor
    light = _per_channel(picture.convert("YCbCr"), [table, np.arange(256), np.arange(256)])
    return light.convert("RGB")


def _sharpness(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Change the sharpness by a random factor from 0 to 2."""
    return ImageEnhance.Sharpness(picture).enhance(rng.uniform(0, 2))


def _hue_and_saturation(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Shift hue and saturation at random."""
    coded = np.asarray(picture.convert("HSV")).astype(int)
    coded[..., 0] = (coded[..., 0] + rng.integers(-50, 51)) % 256
    coded[..., 1] = np.clip(coded[..., 1] + rng.integers(-50, 51), 0, 255)
    planes = np.moveaxis(coded.astype(np.uint8), 2, 0)
    return Image.merge("HSV", [Image.fromarray(plane) for plane in planes]).convert("RGB")


def _solarised(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Invert all values above a random threshold, with probability 1/2."""
    return ImageOps.solarize(picture, int(rng.integers(32, 129))) if rng.random() < 0.5 else picture


def _posterised(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Reduce each channel to a random number of 1 to 8 bits."""
    return ImageOps.posterize(picture, int(rng.integers(1, 9)))


def _inverted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Invert all values."""
    return ImageOps.invert(picture)


def _stretched(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Stretch the contrast, saturating a random share of up to 20 % at both ends."""
    return ImageOps.autocontrast(picture, int(rng.integers(21)))


def _equalised(picture: Image.Image, rng: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Equalise the histogram."""
    return ImageOps.equalize(picture)


def _turned(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Rotate by a random angle of up to 45 degrees."""
    return picture.rotate(rng.uniform(-45, 45), Image.Resampling.BILINEAR)


CHANGES: tuple[Change, ...] = (
    _gamma, _brightness, _sharpness, _hue_and_saturation, _solarised, _posterised, _inverted, _stretched,
    _equalised, _turned,
)  # fmt: skip
