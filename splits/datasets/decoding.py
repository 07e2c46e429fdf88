"""Decoding of image and mask files to arrays, and facts of their headers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from ltbench.splits.errors import SplitsError
from ltbench.splits.images import Pixels

WHITE = 65535
_BAD_IMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning)

# Images of up to 179 million pixels are read; larger ones are refused with a sentence of our own.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Reading:
    """Options of decoding, for facts that files do not state reliably."""

    upright: bool = False
    """Rotate images and masks by their EXIF orientation, as viewers and labelling tools do."""
    white: int = WHITE
    """Value of a grey 16-bit image that becomes 255."""
    mask_above: int = 0
    """Pixels of a mask above this value are marked."""
    inverted_masks: bool = False
    """Whether masks mark the good pixels."""

    @property
    def of_masks(self) -> str:
        """The choices about masks as a text; "" for the usual ones."""
        inverted = " inverted" if self.inverted_masks else ""
        return (f" above {self.mask_above}" if self.mask_above else "") + inverted


AS_STORED = Reading()


@dataclass(frozen=True)
class Header:
    """Facts in the header of an image file."""

    height: int
    """Height in pixels after rotation."""
    width: int
    orientation: int
    """EXIF orientation, 1 = upright."""
    pages: int
    is_deep: bool
    """Whether it has 16 bits per channel."""


class UnsupportedImage(ValueError):
    """Image that is intact but not supported; the message gives the reason and a remedy."""


def read_pixels(path: Path, reading: Reading = AS_STORED) -> Pixels:
    """Decode an image file: uint8 (H, W, 3), RGB; 16 bits are scaled to 8, alpha is dropped.

    Raises SplitsError, naming the file, if it is missing, damaged or not supported.
    """
    with _opened(path, "image") as image:
        upright = _turned(image, reading)
        if upright.mode == "F":
            raise UnsupportedImage(
                "its pixels are floating point numbers without a known range: save it with 8 or 16 bits"
            )
        if upright.mode.startswith("I"):
            deep = np.asarray(upright).astype(np.int64)
            if deep.min(initial=0) < 0 or deep.max(initial=0) > WHITE:
                raise UnsupportedImage(
                    f"its values reach from {deep.min()} to {deep.max()}, expected 0 to {WHITE}: save it "
                    "with 8 or 16 bits"
                )
            grey = np.minimum((deep * 255 + reading.white // 2) // reading.white, 255).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        return np.array(upright.convert("RGB"), dtype=np.uint8)


def read_mask(path: Path, height: int, width: int, reading: Reading = AS_STORED) -> Pixels:
    """Decode a mask file: uint8 (height, width), 255 = defective, else 0.

    Values above `reading.mask_above` are defective; VisA's masks hold the number of the defect. Raises
    SplitsError, naming the file, if it cannot be read or its size is not (height, width).
    """
    levels = mask_levels(path, reading)
    if levels.shape != (height, width):
        hint = ""
        if levels.shape == (width, height) and height != width:
            hint = " (a quarter turn: one of the two may have an EXIF orientation that was not applied)"
        raise SplitsError(
            f"mask '{path}' has {levels.shape[1]} x {levels.shape[0]} pixels, expected {width} x {height} "
            f"as its image has{hint}: replace one of the two"
        )
    return np.where(marked(levels, reading), np.uint8(255), np.uint8(0))


def marked(levels: npt.NDArray[Any], reading: Reading) -> npt.NDArray[np.bool_]:
    """Flag the pixels (H, W) that a mask's values mark as defective."""
    above: npt.NDArray[np.bool_] = levels > reading.mask_above
    return ~above if reading.inverted_masks else above


def mask_levels(path: Path, reading: Reading = AS_STORED) -> npt.NDArray[Any]:
    """Decode the values of a mask file (H, W).

    The value of a colour pixel is its largest channel. If all colours are equal, alpha is used instead; if a
    palette has no black, the palette index.
    """
    with _opened(path, "mask") as image:
        upright = _turned(image, reading)
        if upright.mode[0] in "1IF" or upright.mode == "L":
            return np.asarray(upright)
        colours: npt.NDArray[Any] = np.asarray(upright.convert("RGB")).max(axis=2)
        if upright.has_transparency_data:
            alpha: npt.NDArray[Any] = np.asarray(upright.convert("RGBA"))[..., 3]
            is_one_colour = colours.min(initial=255) == colours.max(initial=0)
            if is_one_colour and alpha.min(initial=255) < alpha.max(initial=0):
                return alpha
            return colours
        if upright.mode == "P" and colours.min(initial=255) > 0:
            return np.asarray(upright)
        return colours


def read_header(path: Path, reading: Reading = AS_STORED) -> Header:
    """Read the header of an image file. Raises SplitsError naming the file."""
    with _opened(path, "image") as image:
        orientation = _orientation(image)
        height, width = image.height, image.width
        if reading.upright and orientation > 4:
            height, width = width, height
        # A photograph of some cameras carries previews as further pages.
        pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        is_deep = image.mode.startswith("I;16") or ";16" in str(getattr(image, "tile", ""))
        return Header(height, width, orientation, pages, is_deep)


def largest_of_16_bits(path: Path) -> int:
    """Largest value of an image with 16 bits per channel, in steps of 256 if it has colours; 0 for others.

    Raises SplitsError naming the file.
    """
    with _opened(path, "image") as image:
        if image.mode.startswith("I"):
            return int(np.asarray(image).max(initial=0))
        return 256 * int(np.asarray(image).max(initial=0)) if ";16" in str(getattr(image, "tile", "")) else 0


def read_otherwise(path: Path, reading: Reading) -> str:
    """Describe how `reading` changes a file's pixels, for its digest; "" if it does not."""
    with _opened(path, "image") as image:
        turned = _orientation(image) if reading.upright else 1
        changes = [f"orientation {turned}"] if turned != 1 else []
        # Until version 0.1, images without a value above 255 were taken as of 8 bits.
        if image.mode.startswith("I") and (reading.white != WHITE or np.asarray(image).max(initial=0) <= 255):
            changes.append(f"white {reading.white}")
        return ", ".join(changes)


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[Image.Image]:
    """Context of an opened image file, which turns all errors into SplitsError."""
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise SplitsError(
            f"{kind} '{path}' is missing: expected a file there; see `ltbench data doctor`"
        ) from None
    except Image.DecompressionBombError:
        too_large = UnsupportedImage("it has more than 178956970 pixels: cut it into parts, or shrink it")
        raise SplitsError(f"{kind} '{path}' is not read: {too_large}") from too_large
    except UnsupportedImage as error:
        raise SplitsError(f"{kind} '{path}' is not read: {error}") from error
    except _BAD_IMAGE as error:
        raise SplitsError(
            f"{kind} '{path}' cannot be read ({error}): put an intact copy in its place"
        ) from error


def _turned(image: Image.Image, reading: Reading) -> Image.Image:
    """Rotate an image by its EXIF orientation if `reading.upright` is set."""
    return ImageOps.exif_transpose(image) if reading.upright and _orientation(image) != 1 else image


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 = upright or unknown."""
    # Pillow turns a TIFF itself. Asked for a PNG's EXIF, it decodes all pixels where the header has none.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) else 1
