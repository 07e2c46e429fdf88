"""Line defects drawn over a finished image: scratch, crack, thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.splits.rendering.canvas import SIZE, Fault, Plane, Scene, rgb
from ltbench.splits.rendering.streams import between

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.floating[Any]]
"""(n, 2), x and y in pixels."""
Overlaid = tuple[Plane, Mask]
"""Image (3, H, W) with a defect, and the mask of the defect."""
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Patch:
    """Window of the image with the pixel coordinates of its pixels."""

    rows: slice
    columns: slice
    x: Plane
    y: Plane

    @property
    def box(self) -> tuple[slice, slice]:
        """Slices that cut the patch out of an image."""
        return self.rows, self.columns


def patch(left: float, top: float, right: float, bottom: float) -> Patch:
    """Window around a box of pixel coordinates, clipped at the image's border."""
    columns = slice(max(int(left), 0), min(max(int(right) + 1, 0), SIZE))
    rows = slice(max(int(top), 0), min(max(int(bottom) + 1, 0), SIZE))
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :]
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    return Patch(rows, columns, *np.broadcast_arrays(x, y))


def place_on(scene: Scene, rng: np.random.Generator, margin: int = 10) -> tuple[float, float]:
    """Draw a random pixel (x, y) of the object, away from the image's border."""
    inner = scene.object[margin:-margin, margin:-margin]
    candidates = np.flatnonzero(inner > 0.95)
    if candidates.size == 0:
        return SIZE / 2, SIZE / 2
    row, column = divmod(int(candidates[int(rng.integers(candidates.size))]), inner.shape[1])
    return column + margin + 0.5, row + margin + 0.5


def path(
    rng: np.random.Generator, centre: tuple[float, float], length: float, wander: float, pieces: int
) -> Points:
    """Draw the points (pieces + 1, 2) of a line around a centre, turning by about `wander` rad per piece."""
    heading = between(rng, 0, 2 * np.pi) + np.cumsum(rng.standard_normal(pieces) * wander)
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / pieces)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    centred: Points = (points - points.mean(axis=0) + centre).astype(np.float32)
    return centred


def around(points: Points, reach: float) -> Patch:
    """Window around points with a margin of `reach` pixels."""
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    return patch(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def beside(window: Patch, points: Points) -> tuple[Plane, Plane]:
    """Signed distance to a line, negative on its left, and share of its length at the nearest point."""
    nearest = np.full(window.x.shape, 1e9, dtype=np.float32)
    signed = nearest.copy()
    share = np.zeros_like(nearest)
    pieces = len(points) - 1
    for number in range(pieces):
        (x0, y0), (x1, y1) = points[number].tolist(), points[number + 1].tolist()
        along_x, along_y = x1 - x0, y1 - y0
        dx, dy = window.x - x0, window.y - y0
        part = np.clip((dx * along_x + dy * along_y) / max(along_x**2 + along_y**2, 1e-9), 0, 1)
        square = (dx - part * along_x) ** 2 + (dy - part * along_y) ** 2
        closer = square < nearest
        side = np.where(dy * along_x - dx * along_y < 0, np.float32(-1), np.float32(1))
        nearest = np.where(closer, square, nearest)
        signed = np.where(closer, side * np.sqrt(square), signed)
        share = np.where(closer, (number + part) / pieces, share)
    return signed, share


def brightness(colour: Plane) -> float:
    """Mean luminance of a colour image; 0.5 if it is empty."""
    return float(np.tensordot(LUMINANCE, colour, axes=(0, 0)).mean()) if colour.size else 0.5


def scratch(scene: Scene, fault: Fault) -> Overlaid:
    """Draw a groove with a bright and a dark flank, thinner towards its ends."""
    rng, strength = fault.rng, fault.strength
    length = between(rng, 32, 66) * (0.7 + 0.3 * strength)
    points = path(rng, place_on(scene, rng), length, between(rng, 0.02, 0.14), 10)
    width = between(rng, 0.9, 1.5)
    window = around(points, 6)
    signed, share = beside(window, points)
    ends = np.minimum(np.sqrt(np.clip(4.5 * share * (1 - share), 0, 1)), 1)
    core = np.exp(-((signed / width) ** 2)) * ends
    flanks = signed / width * np.exp(-((signed / (1.3 * width)) ** 2)) * ends
    piece = scene.colour[:, *window.box]
    tone = 1.0 if brightness(piece) < between(rng, 0.35, 0.65) else -1.0
    seen = scene.object[window.box]
    change = (core * (0.34 * tone * strength) + flanks * (0.16 * strength)) * seen
    return _laid(scene, window, piece + change, (np.abs(signed) < width + 0.9) & (ends > 0.15))


def crack(scene: Scene, fault: Fault) -> Overlaid:
    """Draw a jagged dark line with one or two branches and a thin lit lip."""
    rng, strength = fault.rng, fault.strength
    trunk = path(rng, place_on(scene, rng), between(rng, 34, 58) * (0.6 + 0.4 * strength), 0.55, 13)
    lines = [trunk]
    for _ in range(int(rng.integers(1, 3))):
        root = trunk[int(rng.integers(3, 11))]
        branch = path(rng, (0.0, 0.0), between(rng, 9, 20) * strength, 0.5, 5)
        lines.append(branch - branch[0] + root)
    window = around(np.concatenate(lines), 5)
    dark = np.zeros(window.x.shape, dtype=np.float32)
    lip = dark.copy()
    mask = np.zeros(window.x.shape, dtype=np.bool_)
    for number, line in enumerate(lines):
        signed, share = beside(window, line)
        taper = 1 - share if number else np.minimum(4 * share * (1 - share) + 0.2, 1)
        width = (0.55 + 0.85 * taper) * (0.8 + 0.2 * strength)
        dark = np.maximum(dark, np.clip(width + 0.5 - np.abs(signed), 0, 1))
        lip = np.maximum(lip, np.clip(1.2 - np.abs(signed - width - 1), 0, 1))
        mask |= np.abs(signed) < width + 0.7
    piece = scene.colour[:, *window.box]
    seen = scene.object[window.box]
    piece = piece * (1 - np.minimum(0.62 * strength, 0.85) * dark * seen)
    return _laid(scene, window, piece + 0.05 * lip * (1 - dark) * seen, mask)


FIBRES = ((0.80, 0.78, 0.72), (0.62, 0.16, 0.14), (0.18, 0.24, 0.50), (0.16, 0.15, 0.15))


def thread(scene: Scene, fault: Fault) -> Overlaid:
    """Draw a loose fibre with its shadow."""
    rng, strength = fault.rng, fault.strength
    length = between(rng, 45, 85) * (0.7 + 0.3 * strength)
    points = path(rng, place_on(scene, rng, 30), length, 0.34, 14)
    colour = rgb(FIBRES[int(rng.integers(len(FIBRES)))])
    width = between(rng, 1.0, 1.5)
    window = around(points, 7)
    signed, share = beside(window, points)
    shadow, _ = beside(window, points + np.array([1.6, 2.0], dtype=np.float32))
    piece = scene.colour[:, *window.box]
    seen = scene.object[window.box]
    piece = piece * (1 - 0.28 * strength * np.exp(-((shadow / 2) ** 2)) * seen)
    twist = 1 + 0.10 * np.sin(share * length * 1.1)
    roundness = 0.72 + 0.28 * np.clip(1 - (signed / width) ** 2, 0, 1)
    alpha = np.clip(width + 0.5 - np.abs(signed), 0, 1) * (np.minimum(0.78 * strength, 0.95) * seen)
    piece = piece + alpha * (colour * (twist * roundness) - piece)
    return _laid(scene, window, piece, np.abs(signed) < width + 0.8)


def _laid(scene: Scene, window: Patch, piece: Plane, mask: Mask) -> Overlaid:
    """Insert a window into the image, and restrict the defect's mask to the object."""
    colour = scene.colour.copy()
    colour[:, *window.box] = piece
    whole = np.zeros((SIZE, SIZE), dtype=np.bool_)
    whole[window.box] = mask & (scene.object[window.box] > 0.5)
    return colour, whole


laid = _laid
