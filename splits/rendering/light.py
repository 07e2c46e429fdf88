"""Light on relief: slopes, diffuse light, shine and shadows. The light comes from the upper left."""

from __future__ import annotations

import numpy as np

from ltbench.splits.rendering.canvas import Plane

_DIRECTION = np.array([-0.45, -0.55, 0.70])
_SOURCE = _DIRECTION / np.linalg.norm(_DIRECTION)
LIGHT_X, LIGHT_Y, LIGHT_Z = (float(value) for value in _SOURCE)
_TOWARDS_VIEWER = _SOURCE + np.array([0.0, 0.0, 1.0])
_HALF = _TOWARDS_VIEWER / np.linalg.norm(_TOWARDS_VIEWER)


def slopes(height: Plane) -> tuple[Plane, Plane]:
    """Rise per pixel along x and y of a height in pixels (central differences, edges repeated)."""
    across = np.empty_like(height)
    across[:, 1:-1] = (height[:, 2:] - height[:, :-2]) * 0.5
    across[:, 0], across[:, -1] = across[:, 1], across[:, -2]
    down = np.empty_like(height)
    down[1:-1] = (height[2:] - height[:-2]) * 0.5
    down[0], down[-1] = down[1], down[-2]
    return across, down


def shade(height: Plane, *, shine: int = 0) -> tuple[Plane, Plane]:
    """(diffuse, specular) light on a height map in pixels; diffuse is 1 where flat, specular in [0, 1].

    `shine` is the number of squarings of the highlight's cosine: 0 = none computed, 5 = glossy.
    """
    across, down = slopes(height)
    length = 1 / np.sqrt(across * across + down * down + 1)
    diffuse = np.maximum(
        (LIGHT_Z - across * LIGHT_X - down * LIGHT_Y) * (length * np.float32(1 / LIGHT_Z)), 0
    )
    if not shine:
        return diffuse, np.zeros((1, 1), dtype=np.float32)
    highlight = np.maximum((float(_HALF[2]) - across * float(_HALF[0]) - down * float(_HALF[1])) * length, 0)
    for _ in range(shine):
        highlight *= highlight
    return diffuse, highlight


def rounded(distance: Plane, width: float, pixel: float) -> Plane:
    """Height in pixels of a plate whose edge is rounded over `width`, of signed distances to its outline."""
    inside = 1 - np.clip(distance * np.float32(-1 / width), 0, 1)
    height: Plane = np.sqrt(np.maximum(1 - inside * inside, 0)) * np.float32(width / pixel)
    return height


def smooth(value: Plane, low: float | Plane, high: float | Plane) -> Plane:
    """0 below `low`, 1 above `high`, a smooth step between."""
    share = np.clip((value - low) / (high - low), 0, 1)
    step: Plane = share * share * (3 - 2 * share)
    return step


def turned_shine(x: Plane, y: Plane, radius: Plane, sharpness: float) -> Plane:
    """[0, 1]: the two fans of light on a face turned on a lathe, x and y in picture orientation."""
    tilt = (x * LIGHT_Y - y * LIGHT_X) / (np.maximum(radius, 1e-3) * float(np.hypot(LIGHT_X, LIGHT_Y)))
    return np.exp(tilt * tilt * -np.float32(sharpness))


def cast(
    background: Plane, distance: Plane, pixel: float, *, depth: float = 5, soft: float = 14, dark: float = 0.5
) -> Plane:
    """The background (3, H, W) under the shadow of a shape of signed distances, `depth` pixels above it."""
    reach = (round(-LIGHT_Y * depth), round(-LIGHT_X * depth))
    moved = np.roll(distance, reach, axis=(0, 1)) * np.float32(1 / (soft * pixel))
    away = np.clip(0.5 - moved, 0, 1)
    close = np.exp(np.maximum(distance, 0) * np.float32(-1 / (4 * pixel)))
    shaded: Plane = background * (1 - dark * np.maximum(away * away * (3 - 2 * away), 0.6 * close))
    return shaded
