"""Two-coloured capsule with a print."""

from __future__ import annotations

import numpy as np

from ltbench.splits.rendering.canvas import Fault, Frame, Plane, Scene, coverage, jittered, over
from ltbench.splits.rendering.light import cast, shade, smooth
from ltbench.splits.rendering.noise import clouds
from ltbench.splits.rendering.shapes import bar
from ltbench.splits.rendering.streams import between

HALF_LENGTH, RADIUS = 0.42, 0.30
Stroke = tuple[tuple[float, float], tuple[float, float]]
LETTERS: tuple[tuple[Stroke, ...], ...] = (
    (((0.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (0.55, 1.0))),
    (((0.0, 0.0), (0.7, 0.0)), ((0.35, 0.0), (0.35, 1.0))),
    (((0.0, 0.0), (0.0, 1.0)), ((0.0, 0.0), (0.5, 0.0)), ((0.0, 0.5), (0.45, 0.5)), ((0.0, 1.0), (0.5, 1.0))),
)
"""Strokes of the letters L, T and E in a unit box, y down."""


def capsule(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a two-coloured capsule with a print."""
    red, cream = jittered(rng, (0.80, 0.20, 0.13)), jittered(rng, (0.90, 0.86, 0.74))
    ink, table = jittered(rng, (0.22, 0.18, 0.17), 0.02), jittered(rng, (0.17, 0.19, 0.23))
    felt = clouds(rng, 0.6)
    slide, gloss = between(rng, -0.03, 0.03), between(rng, 0.35, 0.65)
    roll = (between(rng, -0.03, 0.03), between(rng, -0.04, 0.04), between(rng, -0.09, 0.09))
    opacity = between(rng, 0.65, 0.95)
    radius: Plane | float = RADIUS
    if fault.name == "squeeze":
        radius = _squeezed(frame, fault)
    # The cap is pushed over the body, so it is a little wider.
    joint = -0.04 + slide
    radius = radius + smooth(frame.x, joint + 0.012, joint - 0.012) * np.float32(0.014)
    beyond = np.maximum(np.abs(frame.x) - HALF_LENGTH, 0)
    reach = np.hypot(beyond, frame.y)
    distance = reach - radius
    height = np.sqrt(np.maximum(radius * radius - reach * reach, 1e-5)) * np.float32(0.85 / frame.pixel)
    diffuse, highlight = shade(height, shine=5)
    colour = over(cream, red, smooth(frame.x, joint + 0.006, joint - 0.006))
    colour = over(colour, ink, _print(frame, roll, fault) * opacity)
    colour = colour * (0.30 + 0.66 * np.clip(diffuse, 0, 1.25)) + highlight * gloss
    bounce = smooth(distance, -0.09, -0.01) * smooth(frame.y, 0.0, 0.25)
    colour = colour + table * (0.30 * bounce)
    cover = coverage(distance, frame.pixel)
    ground = cast(table * (1 + 0.09 * felt), distance, frame.pixel, depth=9, soft=22, dark=0.6)
    return Scene(over(ground, colour, cover), cover)


def _squeezed(frame: Frame, fault: Fault) -> Plane:
    """Radius of the capsule along its length, pinched from one or both sides."""
    rng = fault.rng
    place = between(rng, -0.30, 0.30)
    depth = between(rng, 0.05, 0.075) * fault.strength
    sides = rng.random() < 0.5
    pinch = np.exp(-(((frame.x - place) / 0.10) ** 2)) * np.float32(depth)
    radius: Plane = RADIUS - (pinch if sides else pinch * smooth(frame.y, 0.08, -0.08))
    return radius


def _print(frame: Frame, roll: tuple[float, float, float], fault: Fault) -> Plane:
    """Coverage of the three printed letters, displaced by `roll` = (x, y, rotation in rad)."""
    left, top, height, step = 0.10, -0.095, 0.19, 0.135
    cover = np.zeros_like(frame.x)
    missing, shift, turn = -1, roll[:2], roll[2]
    if fault.name == "missing_print":
        missing = int(fault.rng.integers(len(LETTERS)))
    if fault.name == "shifted_print":
        side = 1 if fault.rng.random() < 0.5 else -1
        away = side * between(fault.rng, 0.06, 0.09) * fault.strength
        shift = (shift[0] + between(fault.rng, -0.03, 0.03), shift[1] + away)
        turn += between(fault.rng, -0.3, 0.3) * fault.strength
    window = frame.window(0.0, -0.25, 0.62, 0.25)
    x, y = window.x - shift[0], window.y - shift[1]
    x, y = x - turn * y, y + turn * (x - 0.28)
    for place, strokes in enumerate(LETTERS):
        if place == missing and fault.strength > 0.85:
            continue
        kept = strokes[:-1] if place == missing else strokes
        for (x0, y0), (x1, y1) in kept:
            start = (left + place * step + x0 * 0.17, top + y0 * height)
            end = (left + place * step + x1 * 0.17, top + y1 * height)
            line = coverage(bar(x, y, start, end, 0.016), frame.pixel)
            cover[window.box] = np.maximum(cover[window.box], line)
    return cover
