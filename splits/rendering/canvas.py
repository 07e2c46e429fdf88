"""Canvas of the renderer: poses of objects and composition of shapes.

Planes are float32 (H, W); colours are float32 (3, H, W) or (3, 1, 1) in [0, 1]: channels first, so that a
plane broadcasts over a colour along the fast axis. x points right, y down, and the image spans [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.splits.rendering.streams import between

SIZE = 256
"""Height and width of every image in pixels."""
Plane = npt.NDArray[np.floating[Any]]
"""float32 plane; annotated wider, since NumPy's stubs type float32 times a Python number as float64."""
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class PoseRange:
    """Range of the random poses of a class."""

    turn: float = 0.0
    """Largest rotation to either side in degrees; 180 = any."""
    shift: float = 0.0
    """Largest displacement along each axis; 1 = half the image."""
    scale: float = 0.0
    """Largest relative change of size."""


@dataclass(frozen=True)
class Frame:
    """Object coordinates of the pixels of an image or of a window of it."""

    x: Plane
    y: Plane
    pixel: float
    """Length of a pixel in object units."""
    cosine: float
    sine: float
    centre: tuple[float, float]
    """Image coordinates (x, y) of the object's origin."""
    rows: slice = field(default_factory=lambda: slice(0, SIZE))
    columns: slice = field(default_factory=lambda: slice(0, SIZE))

    def window(self, left: float, top: float, right: float, bottom: float) -> Frame:
        """Window of a whole frame that contains a box of object coordinates; may be empty."""
        scale = 2 / SIZE / self.pixel
        pixels = [
            (
                ((u * self.cosine - v * self.sine) * scale + self.centre[0] + 1) * SIZE / 2,
                ((u * self.sine + v * self.cosine) * scale + self.centre[1] + 1) * SIZE / 2,
            )
            for u in (left, right)
            for v in (top, bottom)
        ]
        columns = _span([p[0] for p in pixels])
        rows = _span([p[1] for p in pixels])
        box = (rows, columns)
        return Frame(self.x[box], self.y[box], self.pixel, self.cosine, self.sine, self.centre, rows, columns)

    def upright(self) -> tuple[Plane, Plane]:
        """Coordinates without the object's rotation, for lighting."""
        return self.x * self.cosine - self.y * self.sine, self.x * self.sine + self.y * self.cosine

    @property
    def box(self) -> tuple[slice, slice]:
        """Index of this window in a plane of the whole image."""
        return self.rows, self.columns


@dataclass(frozen=True)
class Fault:
    """Defect to draw: its name ("" = none), its strength and its random numbers."""

    name: str
    strength: float
    rng: np.random.Generator


@dataclass(frozen=True)
class Scene:
    """Drawn object before the camera model."""

    colour: Plane
    """(3, H, W)."""
    object: Plane
    """(H, W), share of each pixel that the object covers; 1 everywhere for a texture."""


def _span(positions: list[float]) -> slice:
    """Range of pixels that covers positions with a margin, clipped to the image."""
    low = min(max(int(np.floor(min(positions))) - 1, 0), SIZE)
    high = min(max(int(np.ceil(max(positions))) + 2, low), SIZE)
    return slice(low, high)


@cache
def grid() -> tuple[Plane, Plane]:
    """Image coordinates (x, y) of all pixel centres, read-only."""
    axis = ((np.arange(SIZE, dtype=np.float32) + 0.5) * (2 / SIZE) - 1).astype(np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    for plane in (x, y):
        plane.setflags(write=False)
    return x, y


def draw_frame(limits: PoseRange, rng: np.random.Generator) -> Frame:
    """Draw a random pose within the limits."""
    turn = np.deg2rad(between(rng, -limits.turn, limits.turn))
    shift_x = between(rng, -limits.shift, limits.shift)
    shift_y = between(rng, -limits.shift, limits.shift)
    scale = 1 + between(rng, -limits.scale, limits.scale)
    cosine, sine = float(np.cos(turn)), float(np.sin(turn))
    x, y = grid()
    dx, dy = (x - shift_x) / scale, (y - shift_y) / scale
    return Frame(
        dx * cosine + dy * sine,
        dy * cosine - dx * sine,
        2 / SIZE / scale,
        cosine,
        sine,
        (shift_x, shift_y),
    )


def rgb(colour: Rgb) -> Plane:
    """Colour (3, 1, 1) from three numbers."""
    return np.array(colour, dtype=np.float32).reshape(3, 1, 1)


def jittered(rng: np.random.Generator, colour: Rgb, amount: float = 0.03) -> Plane:
    """Vary the colour (3, 1, 1) of a material from image to image, more in brightness than in hue."""
    common = between(rng, -amount, amount)
    own = rng.random(3, dtype=np.float32) * (2 * amount) - amount
    return rgb(colour) + common * 0.7 + own.reshape(3, 1, 1) * np.float32(0.3)


def coverage(distance: Plane, pixel: float) -> Plane:
    """Share of each pixel inside a shape, from signed distances (negative inside)."""
    share: Plane = np.clip(0.5 - distance / pixel, 0, 1)
    return share


def over(below: Plane, colour: Plane, alpha: Plane) -> Plane:
    """Blend `colour` over `below` with opacity `alpha`."""
    return below + alpha * (colour - below)
