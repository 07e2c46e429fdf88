"""Size, colour and sharpness of pictures, and which of them are copies of others."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

SIDE = 32
"""Side in pixels of the thumbnails that are compared."""
ALIKE_RELATIVE, ALIKE_ABSOLUTE = 0.1, 2.0
"""Thumbnails are near-duplicates if they differ by less than this share of their contrast or so many levels.

Copies saved again at another size and as JPEG differ by less; two pictures of a production line by more.
"""
LEAST_CONTRAST = 3.0
"""Thumbnails with a smaller deviation, in grey levels, show nothing to be told apart by."""
DEVIATIONS = 4.0
"""An outlier lies this many robust standard deviations from its product's median."""
LEAST_COLOUR, LEAST_SHARPNESS = 8.0, 0.4
"""Smaller differences are never outliers: grey levels, and natural logarithms of the sharpness."""
FEWEST = 8
"""Fewer images of a product have no outliers of colour or sharpness."""


@dataclass(frozen=True)
class Appearance:
    """Facts of one picture."""

    size: tuple[int, int]
    """Width and height in pixels."""
    colour: npt.NDArray[np.float64]
    """Mean of R, G and B, (3,), 0 to 255."""
    sharpness: float
    """Natural logarithm of the mean square of the Laplacian."""
    thumbnail: npt.NDArray[np.float32]
    """Grey levels less their mean, (SIDE * SIDE,)."""
    digest: str
    """sha256 of the pixels and their shape."""


def appearance_of(pixels: npt.NDArray[np.uint8]) -> Appearance:
    """Measure one picture, uint8 (H, W, 3)."""
    picture = Image.fromarray(pixels)
    grey = np.asarray(picture.convert("L").resize((256, 256), Image.Resampling.BOX), np.float32)
    small = np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32).ravel()
    laplacian = ndimage.laplace(grey)
    return Appearance(
        size=(pixels.shape[1], pixels.shape[0]),
        colour=pixels.reshape(-1, 3).mean(axis=0),
        sharpness=float(np.log(np.square(laplacian).mean() + 1e-3)),
        thumbnail=small - small.mean(),
        digest=hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest(),
    )


def unusual(looks: Sequence[Appearance]) -> list[list[str]]:
    """Say for each picture of one product in what it differs from the others; mostly nothing."""
    notes: list[list[str]] = [[] for _ in looks]
    sizes = [one.size for one in looks]
    usual = max(dict.fromkeys(sizes), key=sizes.count)
    for index, size in enumerate(sizes):
        if size != usual:
            notes[index].append(f"size {size[0]} x {size[1]}, usually {usual[0]} x {usual[1]}")
    if len(looks) < FEWEST:
        return notes
    colours = np.stack([one.colour for one in looks])
    far = _is_far(colours, LEAST_COLOUR).any(axis=1)
    sharpness = np.array([one.sharpness for one in looks])
    for index in np.flatnonzero(far).tolist():
        shift = colours[index] - np.median(colours, axis=0)
        notes[index].append(f"colour off by {', '.join(f'{value:+.0f}' for value in shift)} (R, G, B)")
    for index in np.flatnonzero(_is_far(sharpness, LEAST_SHARPNESS)).tolist():
        word = "blurred" if sharpness[index] < np.median(sharpness) else "unusually sharp or noisy"
        notes[index].append(word)
    return notes


def copies(looks: Sequence[Appearance]) -> tuple[list[list[int]], list[list[int]]]:
    """Find pictures of one product that show the same.

    Returns:
        Groups of positions with equal pixels, and groups with nearly equal pictures among the different
        ones; each group has two members or more.
    """
    by_digest: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(looks):
        by_digest[one.digest].append(index)
    different = [members[0] for members in by_digest.values()]
    equal = [members for members in by_digest.values() if len(members) > 1]
    thumbnails = np.stack([looks[index].thumbnail for index in different]).astype(np.float64)
    contrast = thumbnails.std(axis=1)
    square = np.square(thumbnails).mean(axis=1)
    difference = square[:, None] + square[None] - 2 * thumbnails @ thumbnails.T / thumbnails.shape[1]
    difference = np.sqrt(np.maximum(difference, 0))
    limit = np.maximum(ALIKE_RELATIVE * np.minimum(contrast[:, None], contrast[None]), ALIKE_ABSOLUTE)
    alike = difference < limit
    alike &= (contrast[:, None] >= LEAST_CONTRAST) & (contrast[None] >= LEAST_CONTRAST)
    near: list[list[int]] = []
    taken: set[int] = set()
    for index in range(len(different)):
        members = [other for other in np.flatnonzero(alike[index]).tolist() if other not in taken]
        if index not in taken and len(members) > 1:
            near.append([different[member] for member in members])
            taken.update(members)
    return equal, near


def _is_far(values: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.bool_]:
    """Whether values lie more than `DEVIATIONS` robust deviations, and `least`, from their median."""
    offset = np.abs(values - np.median(values, axis=0))
    far: npt.NDArray[np.bool_] = offset > np.maximum(DEVIATIONS * 1.4826 * np.median(offset, axis=0), least)
    return far
