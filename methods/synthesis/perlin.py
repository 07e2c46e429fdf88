"""Gradient noise (Perlin, SIGGRAPH 1985), and blobs cut from it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float32]

CELLS = (1, 2, 4, 8, 16, 32)
"""Cells per axis that DRAEM draws from."""
THRESHOLD = 0.5
LARGEST_TURN = 90.0


def noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Noise of so many cells per axis, within about -1 and 1, 0 at the corners of the cells: `shape`.

    At every corner stands a random unit vector; a point takes the dot products of its offsets from the four
    corners around it, blended by 6 t^5 - 15 t^4 + 10 t^3, times the root of 2.
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
    """(side, side) where turned noise of random periods exceeds one half (Zavrtanik et al. 2021); may be
    empty."""
    cells = (int(rng.choice(CELLS)), int(rng.choice(CELLS)))
    turned = ndimage.rotate(
        noise((side, side), cells, rng), rng.uniform(-LARGEST_TURN, LARGEST_TURN), reshape=False, order=1
    )
    return turned > THRESHOLD


def _fade(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return share**3 * (share * (6 * share - 15) + 10)
