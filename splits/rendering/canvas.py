"""Where on the picture an object lies, and how shapes are put on it.

Planes are float32 (H, W); colours are float32 (3, H, W) or (3, 1, 1) in [0, 1]: channels first, so that a
plane broadcasts over a colour along the fast axis. x points right, y down, the picture spans [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.splits.rendering.streams import between

SIZE = 256
"""Height and width of every picture, in pixels."""
Plane = npt.NDArray[np.floating[Any]]
"""Always float32; annotated wider, as numpy's stubs take float32 times a Python number for float64."""
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class PoseRange:
    """How differently a class lies under the camera."""

    turn: float = 0.0
    """Largest rotation to either side, degrees; 180 = any."""
    shift: float = 0.0
    """Largest displacement along each axis; 1 = half the picture."""
    scale: float = 0.0
    """Largest relative change of size."""


@dataclass(frozen=True)
class Frame:
    """Object coordinates of (a window of) the picture's pixels."""

    x: Plane
    y: Plane
    pixel: float
    """Length of a pixel in object units."""
    cosine: float
    sine: float
    centre: tuple[float, float]
    """Picture coordinates (x, y) of the object's origin."""
    rows: slice = field(default_factory=lambda: slice(0, SIZE))
    columns: slice = field(default_factory=lambda: slice(0, SIZE))

    def window(self, left: float, top: float, right: float, bottom: float) -> Frame:
        """The part of a whole frame that contains this box of object coordinates; may be empty."""
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
        """The coordinates without the object's rotation: x right and y down as the light sees them."""
        return self.x * self.cosine - self.y * self.sine, self.x * self.sine + self.y * self.cosine

    @property
    def box(self) -> tuple[slice, slice]:
        """Index of this window in a plane of the whole picture."""
        return self.rows, self.columns


@dataclass(frozen=True)
class Fault:
    """What is wrong with an object: a name the class knows ("" = nothing), how much, and its own stream."""

    name: str
    strength: float
    rng: np.random.Generator


@dataclass(frozen=True)
class Scene:
    """An object before the camera."""

    colour: Plane
    """(3, H, W)."""
    object: Plane
    """(H, W), share of each pixel that the object covers; a texture covers all."""


def _span(positions: list[float]) -> slice:
    low = min(max(int(np.floor(min(positions))) - 1, 0), SIZE)
    high = min(max(int(np.ceil(max(positions))) + 2, low), SIZE)
    return slice(low, high)


@cache
def grid() -> tuple[Plane, Plane]:
    """Picture coordinates (x, y) of all pixel centres; read-only."""
    axis = ((np.arange(SIZE, dtype=np.float32) + 0.5) * (2 / SIZE) - 1).astype(np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    for plane in (x, y):
        plane.setflags(write=False)
    return x, y


def draw_frame(limits: PoseRange, rng: np.random.Generator) -> Frame:
    """A random pose within the limits."""
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
    """(3, 1, 1) of three numbers."""
    return np.array(colour, dtype=np.float32).reshape(3, 1, 1)


def jittered(rng: np.random.Generator, colour: Rgb, amount: float = 0.03) -> Plane:
    """(3, 1, 1): a material as it varies from piece to piece, more in brightness than in hue."""
    common = between(rng, -amount, amount)
    own = rng.random(3, dtype=np.float32) * (2 * amount) - amount
    return rgb(colour) + common * 0.7 + own.reshape(3, 1, 1) * np.float32(0.3)


def coverage(distance: Plane, pixel: float) -> Plane:
    """Share of each pixel inside a shape, of signed distances (negative inside)."""
    share: Plane = np.clip(0.5 - distance / pixel, 0, 1)
    return share


def over(below: Plane, colour: Plane, alpha: Plane) -> Plane:
    """`colour` laid over `below` with opacity `alpha`."""
    return below + alpha * (colour - below)
