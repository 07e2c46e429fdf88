"""Woven textures: fabric, linen (the same weave of finer yarn) and wire mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ltbench.splits.rendering.canvas import Fault, Frame, Plane, Rgb, Scene, jittered, over
from ltbench.splits.rendering.light import shade, smooth
from ltbench.splits.rendering.noise import clouds
from ltbench.splits.rendering.streams import between

_WHOLE = np.ones((256, 256), dtype=np.float32)
_WHOLE.setflags(write=False)


@dataclass(frozen=True)
class Yarn:
    """Yarn of a plain weave."""

    threads: int
    """Number of threads across the image."""
    colour: Rgb
    uneven: float
    """Spread of the threads' thickness and brightness."""
    wander: float
    """Deviation of threads from straight lines, in widths of a thread."""


FABRIC = Yarn(threads=38, colour=(0.66, 0.61, 0.45), uneven=0.15, wander=0.24)
LINEN = Yarn(threads=47, colour=(0.68, 0.64, 0.52), uneven=0.24, wander=0.42)


def fabric(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw coarse fabric."""
    return _weave(FABRIC, frame, rng, fault)


def linen(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw linen, a look-alike of the fabric with finer yarn."""
    return _weave(LINEN, frame, rng, fault)


def _weave(yarn: Yarn, frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a plain weave of a yarn."""
    colour = jittered(rng, yarn.colour)
    wander = clouds(rng, 1.8, highest=14)
    fluff = clouds(rng, 0.4)
    count = yarn.threads * 3
    tones = 1 + rng.standard_normal((2, count), dtype=np.float32) * np.float32(yarn.uneven * 0.5)
    widths = 1 + rng.standard_normal((2, count), dtype=np.float32) * np.float32(yarn.uneven)
    half = yarn.threads / 2
    u = (frame.x + 1.5) * half + wander * np.float32(yarn.wander)
    v = (frame.y + 1.5) * half - np.roll(wander, 90, axis=1) * np.float32(yarn.wander)
    column, row = np.floor(u), np.floor(v)
    column_index = column.astype(np.intp).clip(0, count - 1)
    row_index = row.astype(np.intp).clip(0, count - 1)
    crossing = np.sin(u * np.float32(np.pi)) * np.sin(v * np.float32(np.pi))
    offset_u, offset_v = (u - column) * 2 - 1, (v - row) * 2 - 1
    warp = np.maximum(1 - offset_u * offset_u / widths[0].take(column_index), 0) * (0.62 + 0.38 * crossing)
    weft = np.maximum(1 - offset_v * offset_v / widths[1].take(row_index), 0) * (0.62 - 0.38 * crossing)
    if fault.name == "missing_thread":
        gap = _gap(u, frame.y, half, fault)
        # The weft sags where the warp thread is missing.
        warp, weft = warp * (1 - gap), weft * (1 - 0.22 * gap)
    height = np.maximum(warp, weft)
    tone = np.where(warp > weft, tones[0].take(column_index), tones[1].take(row_index))
    tone *= (0.34 + 0.72 * height) * (1 + 0.07 * fluff)
    tone *= shade(height * 2.4)[0] * 0.6 + 0.4
    return Scene(colour * tone, _WHOLE)


def _gap(u: Plane, y: Plane, half: float, fault: Fault) -> Plane:
    """Mask of a missing warp thread, whose length grows with the strength."""
    rng = fault.rng
    thread = np.floor(between(rng, 0.6, 2.4) * half)
    length = between(rng, 0.45, 0.9) * fault.strength
    middle = between(rng, -0.8, 0.8)
    beside = smooth(np.abs(u - (thread + 0.5)), 0.7, 0.45)
    return beside * smooth(np.abs(y - middle), length / 2 + 0.03, length / 2)


PITCH = 0.125
"""Distance between the wires of the mesh."""


def mesh(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a woven wire mesh."""
    metal, ground = jittered(rng, (0.74, 0.75, 0.71)), jittered(rng, (0.10, 0.12, 0.14), 0.02)
    wander = clouds(rng, 2.0, highest=5) * np.float32(0.035)
    depth = clouds(rng, 1.5, highest=30)
    polish = clouds(rng, 0.3)
    places = rng.standard_normal((2, 40), dtype=np.float32) * np.float32(0.018)
    tones = 1 + rng.standard_normal((2, 40), dtype=np.float32) * np.float32(0.05)
    u = (frame.x + 1.5) / PITCH + wander
    v = (frame.y + 1.5) / PITCH + np.roll(wander, 70, axis=0)
    bent, cut = _wire_fault(u, v, fault)
    thick = 0.155
    wires = []
    for across, line, shift, broken in ((u, 0, bent, cut), (v, 1, 0.0, None)):
        place = across + shift
        index = np.floor(place).astype(np.intp).clip(0, 39)
        offset = (place - np.floor(place) - 0.5 - places[line].take(index)) * (1 / thick)
        cover = np.clip((1 - np.abs(offset)) * (thick * PITCH / frame.pixel) + 0.5, 0, 1)
        if broken is not None:
            cover = cover * (1 - broken)
        round_ = np.sqrt(np.maximum(1 - offset * offset, 0))
        parity = 1 if line == 0 else -1
        lift = parity * np.sin((u - 0.5) * np.float32(np.pi)) * np.sin((v - 0.5) * np.float32(np.pi))
        lift = lift + parity * np.cos((u - 0.5) * np.float32(np.pi)) * np.cos((v - 0.5) * np.float32(np.pi))
        light = 0.30 + 0.62 * np.exp(-((offset + 0.35) ** 2) * 3) + 0.12 * round_ + 0.16 * lift
        wires.append((cover, light * tones[line].take(index) * (1 + 0.05 * polish), lift))
    colour = ground * (1 + 0.28 * depth)
    shadow = np.roll(np.maximum(wires[0][0], wires[1][0]), (5, 4), axis=(0, 1))
    colour = colour * (1 - 0.45 * shadow)
    first, second = wires
    colour = over(colour, metal * second[1], second[0])
    colour = over(colour, metal * first[1], first[0] * np.where(second[0] > 0.01, first[2] > 0, True))
    return Scene(colour, _WHOLE)


def _wire_fault(u: Plane, v: Plane, fault: Fault) -> tuple[Plane | float, Plane | None]:
    """Sideways displacement, in pitches, and gap of one vertical wire; (0, None) without a defect."""
    if fault.name not in ("bent", "broken"):
        return 0.0, None
    rng = fault.rng
    wire = np.floor(between(rng, 0.65, 2.35) / PITCH)
    middle = between(rng, 0.7, 2.3) / PITCH
    beside = smooth(np.abs(u - wire - 0.5), 0.5, 0.45)
    if fault.name == "bent":
        side = 1 if rng.random() < 0.5 else -1
        push = np.exp(-(((v - middle) / 0.55) ** 2)) * (0.40 * fault.strength * side)
        return push * beside, None
    length = between(rng, 0.5, 0.8) * fault.strength
    return 0.0, beside * smooth(np.abs(v - middle), length + 0.06, length)
