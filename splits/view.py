"""The part of an image that is judged: resized, centre cropped, pixels and masks alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ltbench.splits.errors import SplitsError
from ltbench.splits.images import Pixels


def resized_shape(height: int, width: int, resize: int, squeeze: bool = False) -> tuple[int, int]:
    """(height, width) with the shorter side at `resize`; the other is rounded down, as in torchvision.

    squeeze: both sides at `resize`, whatever the image's proportions.
    """
    if squeeze:
        return resize, resize
    if height <= width:
        return resize, resize * width // height
    return resize * height // width, resize


def crop_corner(height: int, width: int, crop: int) -> tuple[int, int]:
    """(top, left) of the centre crop; half a pixel rounds to even, as torchvision does."""
    if min(height, width) < crop:
        raise SplitsError(
            f"cannot cut {crop} x {crop} out of {height} x {width} pixels: "
            f"choose a view whose 'crop' is at most its 'resize'"
        )
    return round((height - crop) / 2), round((width - crop) / 2)


def resize_image(pixels: Pixels, resize: int, *, squeeze: bool = False) -> Pixels:
    """uint8 (H, W, 3) of `resized_shape`: Pillow's bilinear filter, which antialiases."""
    return _resized(pixels, resize, squeeze, Image.Resampling.BILINEAR)


def centre_crop(pixels: Pixels, crop: int) -> Pixels:
    """The central uint8 (crop, crop, ...) of an image."""
    top, left = crop_corner(pixels.shape[0], pixels.shape[1], crop)
    return np.ascontiguousarray(pixels[top : top + crop, left : left + crop])


def resize_and_crop(pixels: Pixels, resize: int, crop: int, *, squeeze: bool = False) -> Pixels:
    """Resize and crop an image to the part that is judged: uint8 (crop, crop, 3).

    Equal, pixel for pixel, to torchvision's `Resize(resize)` (squeeze: `Resize((resize, resize))`) and
    `CenterCrop(crop)` on a PIL image. Raises SplitsError if the crop is larger than the resized image.
    """
    return centre_crop(resize_image(pixels, resize, squeeze=squeeze), crop)


def resize_and_crop_mask(
    mask: npt.NDArray[np.generic], resize: int, crop: int, *, squeeze: bool = False
) -> npt.NDArray[np.bool_]:
    """Resize and crop a mask to the same part: bool (crop, crop), True where the mask (H, W) is above zero.

    Nearest neighbour, because a bilinear mask grows or shrinks with the threshold it is cut at.
    """
    marked = (np.asarray(mask) > 0).astype(np.uint8)
    return centre_crop(_resized(marked, resize, squeeze, Image.Resampling.NEAREST), crop).astype(np.bool_)


def resize_and_crop_labels(
    labels: npt.NDArray[np.integer[Any]], resize: int, crop: int, *, squeeze: bool = False
) -> npt.NDArray[np.int32]:
    """Numbers of regions (H, W) as `resize_and_crop_mask` shows the regions: int32 (crop, crop)."""
    height, width = resized_shape(labels.shape[0], labels.shape[1], resize, squeeze)
    resized = Image.fromarray(labels.astype(np.int32)).resize((width, height), Image.Resampling.NEAREST)
    top, left = crop_corner(height, width, crop)
    return np.asarray(resized, dtype=np.int32)[top : top + crop, left : left + crop]


def inside_view(
    shape: tuple[int, int], resize: int, crop: int, *, squeeze: bool = False
) -> tuple[slice, slice]:
    """Rows and columns of an image of this shape (H, W) that the view shows, in whole pixels."""
    height, width = shape
    across, along = resized_shape(height, width, resize, squeeze)
    top, left = crop_corner(across, along, crop)
    rows = slice(round(top * height / across), round((top + crop) * height / across))
    columns = slice(round(left * width / along), round((left + crop) * width / along))
    return rows, columns


def _resized(pixels: Pixels, resize: int, squeeze: bool, filtering: Image.Resampling) -> Pixels:
    height, width = resized_shape(pixels.shape[0], pixels.shape[1], resize, squeeze)
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), filtering))
