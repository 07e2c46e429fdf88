"""Contact sheets of good and defective images with outlined masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ltbench.splits.rendering.canvas import SIZE
from ltbench.splits.rendering.catalogue import KINDS
from ltbench.splits.rendering.picture import Name, render

Pixels = npt.NDArray[np.uint8]
OUTLINE = (255, 40, 30)


def outlined(pixels: Pixels, mask: Pixels) -> Pixels:
    """Copy an image (H, W, 3) with a line of two pixels around the mask."""
    inside = ndimage.binary_dilation(mask > 0, iterations=2)
    line = ndimage.binary_dilation(inside, iterations=2) & ~inside
    drawn = pixels.copy()
    drawn[line] = OUTLINE
    return drawn


def contact_sheet(
    categories: Sequence[str] = tuple(KINDS),
    *,
    good: int = 2,
    index: int = 0,
    tile: int = 128,
    gap: int = 2,
    difficulty: str = "",
) -> Pixels:
    """Render a contact sheet, uint8 (H, W, 3), with one row per class.

    Args:
        categories: Classes.
        good: Number of good images, followed by one of each defect, outlined.
        index: Number of the first image.
        tile: Width of an image on the sheet: 256, 128, 64 or 32.
        gap: Distance of images in pixels.
        difficulty: Difficulty of the defects, "" or "hard".
    """
    columns = good + max(len(KINDS[category].defects) for category in categories)
    step = SIZE // tile
    size = SIZE // step
    shape = (len(categories) * (size + gap) + gap, columns * (size + gap) + gap, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for row, category in enumerate(categories):
        names = [Name(category, "train", "", index + number) for number in range(good)]
        names += [Name(category, "test", defect, index) for defect in KINDS[category].defects]
        for column, name in enumerate(names):
            pixels, mask = render(name, difficulty)
            shown = pixels if mask is None else outlined(pixels, mask)
            top, left = gap + row * (size + gap), gap + column * (size + gap)
            sheet[top : top + size, left : left + size] = _reduced(shown, step)
    return sheet


def _reduced(pixels: Pixels, step: int) -> Pixels:
    """Reduce an image by averaging blocks of `step` x `step` pixels."""
    size = SIZE // step
    blocks = pixels.reshape(size, step, size, step, 3).astype(np.float32)
    means: Pixels = (blocks.mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    return means
