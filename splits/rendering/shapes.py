"""Signed distances to shapes, negative inside, in the units of the coordinates."""

from __future__ import annotations

import numpy as np

from ltbench.splits.rendering.canvas import Frame, Plane
from ltbench.splits.rendering.streams import between


def box(x: Plane, y: Plane, centre: tuple[float, float], half: tuple[float, float], corner: float) -> Plane:
    """Signed distance to a rectangle with rounded corners.

    Args:
        x: (H, W) first coordinate of each pixel.
        y: (H, W) second coordinate of each pixel.
        centre: Centre of the rectangle.
        half: Half its width and half its height.
        corner: Radius of its corners.
    """
    across = np.abs(x - centre[0]) - (half[0] - corner)
    down = np.abs(y - centre[1]) - (half[1] - corner)
    outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
    distance: Plane = outside + np.minimum(np.maximum(across, down), 0) - corner
    return distance


def bar(x: Plane, y: Plane, start: tuple[float, float], end: tuple[float, float], half_width: float) -> Plane:
    """Signed distance to a straight line of given half width with round ends."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    square = max(along_x * along_x + along_y * along_y, 1e-12)
    dx, dy = x - start[0], y - start[1]
    share = np.clip((dx * along_x + dy * along_y) * (1 / square), 0, 1)
    return np.hypot(dx - share * along_x, dy - share * along_y) - half_width


def bite(
    frame: Frame, rng: np.random.Generator, centre: tuple[float, float], radius: float, rough: float = 0.25
) -> Plane:
    """Signed distance to an irregular blob: a disc whose radius varies with the angle (three harmonics)."""
    dx, dy = frame.x - centre[0], frame.y - centre[1]
    angle = np.arctan2(dy, dx)
    edge = np.full_like(dx, radius)
    for harmonic in (2, 3, 5):
        edge += radius * rough / harmonic * 1.5 * np.cos(angle * harmonic + between(rng, 0, 2 * np.pi))
    distance: Plane = np.hypot(dx, dy) - edge
    return distance
