"""Lighting of height maps from the upper left: slopes, diffuse and specular light, shadows."""

from __future__ import annotations

import numpy as np

from ltbench.splits.rendering.canvas import Plane

_DIRECTION = np.array([-0.45, -0.55, 0.70])
_SOURCE = _DIRECTION / np.linalg.norm(_DIRECTION)
LIGHT_X, LIGHT_Y, LIGHT_Z = (float(value) for value in _SOURCE)
_TOWARDS_VIEWER = _SOURCE + np.array([0.0, 0.0, 1.0])
_HALF = _TOWARDS_VIEWER / np.linalg.norm(_TOWARDS_VIEWER)


def slopes(height: Plane) -> tuple[Plane, Plane]:
    """Slopes along x and y of a height map in pixels (central differences, repeated at the edges)."""
    across = np.empty_like(height)
    across[:, 1:-1] = (height[:, 2:] - height[:, :-2]) * 0.5
    across[:, 0], across[:, -1] = across[:, 1], across[:, -2]
    down = np.empty_like(height)
    down[1:-1] = (height[2:] - height[:-2]) * 0.5
    down[0], down[-1] = down[1], down[-2]
    return across, down


def shade(height: Plane, *, shine: int = 0) -> tuple[Plane, Plane]:
    """Compute diffuse and specular light on a height map in pixels.

    Args:
        height: (H, W) height in pixels.
        shine: Number of squarings of the highlight's cosine: 0 = no highlight, 5 = glossy.

    Returns:
        Diffuse light, 1 where flat, and specular light in [0, 1].
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
    """Height in pixels of a plate with edges rounded over `width`, from signed distances to its outline."""
    inside = 1 - np.clip(distance * np.float32(-1 / width), 0, 1)
    height: Plane = np.sqrt(np.maximum(1 - inside * inside, 0)) * np.float32(width / pixel)
    return height


def smooth(value: Plane, low: float | Plane, high: float | Plane) -> Plane:
    """Smooth step from 0 at `low` to 1 at `high`."""
    share = np.clip((value - low) / (high - low), 0, 1)
    step: Plane = share * share * (3 - 2 * share)
    return step


def turned_shine(x: Plane, y: Plane, radius: Plane, sharpness: float) -> Plane:
    """Brightness in [0, 1] of the two light fans on a lathe-turned face, x and y in image orientation."""
    tilt = (x * LIGHT_Y - y * LIGHT_X) / (np.maximum(radius, 1e-3) * float(np.hypot(LIGHT_X, LIGHT_Y)))
    return np.exp(tilt * tilt * -np.float32(sharpness))


def cast(
    background: Plane, distance: Plane, pixel: float, *, depth: float = 5, soft: float = 14, dark: float = 0.5
) -> Plane:
    """Cast the shadow of a shape on a background.

    Args:
        background: (3, H, W) colours.
        distance: (H, W) signed distances to the shape.
        pixel: Length of a pixel in the units of the distances.
        depth: Height of the shape above the background in pixels.
        soft: Width of the shadow's edge in pixels.
        dark: Strength of the shadow.
    """
    reach = (round(-LIGHT_Y * depth), round(-LIGHT_X * depth))
    moved = np.roll(distance, reach, axis=(0, 1)) * np.float32(1 / (soft * pixel))
    away = np.clip(0.5 - moved, 0, 1)
    close = np.exp(np.maximum(distance, 0) * np.float32(-1 / (4 * pixel)))
    shaded: Plane = background * (1 - dark * np.maximum(away * away * (3 - 2 * away), 0.6 * close))
    return shaded
