"""Perlin noise (SIGGRAPH 1985) and anomaly masks thresholded from it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float32]

CELLS = (1, 2, 4, 8, 16, 32)
"""Numbers of cells per axis that DRAEM draws from."""
THRESHOLD = 0.5
LARGEST_ROTATION = 90.0


def noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Compute Perlin noise of a given shape and number of cells per axis, roughly within [-1, 1].

    Every cell corner has a random unit vector. The value at a point blends its dot products with the four
    corners around it by 6 t^5 - 15 t^4 + 10 t^3, times sqrt(2).
    """
    angles = rng.uniform(0, 2 * math.pi, size=(cells[0] + 1, cells[1] + 1))
    row, column = (np.arange(side) * (count / side) for side, count in zip(shape, cells, strict=True))
    top, left = row.astype(int), column.astype(int)
    down, across = (row - top)[:, None], (column - left)[None]

    def corner(below: int, right: int) -> npt.NDArray[np.float64]:
        angle = angles[np.ix_(top + below, left + right)]
        return np.cos(angle) * (down - below) + np.sin(angle) * (across - right)

    along, beside = _fade(down), _fade(across)
    upper = corner(0, 0) * (1 - beside) + corner(0, 1) * beside
    lower = corner(1, 0) * (1 - beside) + corner(1, 1) * beside
    return (math.sqrt(2) * (upper * (1 - along) + lower * along)).astype(np.float32)


def blobs(side: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw an anomaly mask (side, side): rotated noise of random periods above 1/2; may be empty.

    DRAEM (Zavrtanik et al., ICCV 2021).
    """
    cells = (int(rng.choice(CELLS)), int(rng.choice(CELLS)))
    rotated = ndimage.rotate(
        noise((side, side), cells, rng),
        rng.uniform(-LARGEST_ROTATION, LARGEST_ROTATION),
        reshape=False,
        order=1,
    )
    return rotated > THRESHOLD


def _fade(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Smoothstep of degree 5 from 0 to 1, Perlin's interpolation weight."""
    return share**3 * (share * (6 * share - 15) + 10)
