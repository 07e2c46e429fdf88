"""Defects made of other images: patches blended in without a seam, as Natural Synthetic Anomalies does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from splits.images import Pixels

GAMMA_SHAPE, GAMMA_SCALE = 2.0, 0.05
SMALLEST, LARGEST = 0.03, 0.4
"""Sides of a patch as shares of the image's: 0.03 + Gamma(2, 0.05), at most 0.4."""
_LEAST_PIXELS = 4


@dataclass(frozen=True)
class Blended:
    """An image with patches of another one in it."""

    pixels: Pixels
    """(H, W, 3)."""
    mask: npt.NDArray[np.bool_]
    """(H, W), true where it differs visibly from the original."""


def with_foreign_patches(
    target: Pixels, source: Pixels, rng: np.random.Generator, *, patches: int, least_change: float
) -> Blended:
    """`target` with so many rectangles of `source` (same size) blended in at random places.

    Schlüter et al., ECCV 2022. least_change: mean difference over the channels, in grey levels of 255, from
    which a pixel counts as changed.
    """
    height, width = target.shape[:2]
    blended = target.astype(np.float64)
    for _ in range(patches):
        rows, columns = _side(height, rng), _side(width, rng)
        top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        from_top, from_left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        region = blended[top : top + rows, left : left + columns]
        patch = source[from_top : from_top + rows, from_left : from_left + columns]
        blended[top : top + rows, left : left + columns] = np.clip(seamless(patch, region), 0, 255)
    pixels = np.rint(blended).astype(np.uint8)
    change = np.abs(pixels.astype(np.float64) - target).mean(axis=2)
    return Blended(pixels, change > least_change)


def seamless(patch: npt.NDArray[np.generic], region: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`patch` with the border of `region` and its own second differences inside: both (h, w, 3), floats back.

    Poisson blending (Pérez et al., SIGGRAPH 2003) over a whole rectangle: what is added to the patch is the
    harmonic continuation of the differences on the border, which sine transforms give exactly.
    """
    patch = patch.astype(np.float64)
    added = region - patch
    rows, columns = added.shape[0] - 2, added.shape[1] - 2
    around = np.zeros((rows, columns, added.shape[2]))
    around[0] += added[0, 1:-1]
    around[-1] += added[-1, 1:-1]
    around[:, 0] += added[1:-1, 0]
    around[:, -1] += added[1:-1, -1]
    vertical = 2 - 2 * np.cos(np.pi * np.arange(1, rows + 1) / (rows + 1))
    horizontal = 2 - 2 * np.cos(np.pi * np.arange(1, columns + 1) / (columns + 1))
    waves = fft.dstn(around, type=1, axes=(0, 1)) / (vertical[:, None] + horizontal)[..., None]
    added[1:-1, 1:-1] = fft.idstn(waves, type=1, axes=(0, 1))
    return patch + added


def _side(length: int, rng: np.random.Generator) -> int:
    share = min(SMALLEST + rng.gamma(GAMMA_SHAPE, GAMMA_SCALE), LARGEST)
    return min(length, max(_LEAST_PIXELS, round(share * length)))
