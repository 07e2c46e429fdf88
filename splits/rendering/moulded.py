"""Moulded parts seen from above: bottle cap and button."""

from __future__ import annotations

import numpy as np

from ltbench.splits.rendering.canvas import Fault, Frame, Plane, Scene, coverage, jittered, over
from ltbench.splits.rendering.light import cast, rounded, shade, smooth
from ltbench.splits.rendering.noise import clouds
from ltbench.splits.rendering.shapes import bar, bite
from ltbench.splits.rendering.streams import between

RIBS = 54
CAP_RADIUS = 0.78


def cap(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a ribbed bottle cap with a logo."""
    plastic, paper = jittered(rng, (0.13, 0.37, 0.68)), jittered(rng, (0.74, 0.74, 0.72))
    fleece = clouds(rng, 0.7)
    skin = clouds(rng, 1.0, highest=80)
    radius = np.hypot(frame.x, frame.y)
    angle = np.arctan2(frame.y, frame.x)
    wave = np.cos(angle * RIBS)
    if fault.name == "rib_loss":
        place = between(fault.rng, -np.pi, np.pi)
        width = between(fault.rng, 0.14, 0.24) * fault.strength
        apart = np.abs(np.angle(np.exp(1j * (angle - place)))).astype(np.float32)
        wave = wave * smooth(apart, width * 0.8, width)
    ribs = smooth(radius, 0.60, 0.66)
    distance = radius - CAP_RADIUS - 0.012 * wave
    if fault.name == "broken_rim":
        place = between(fault.rng, 0, 2 * np.pi)
        edge = (CAP_RADIUS * float(np.cos(place)), CAP_RADIUS * float(np.sin(place)))
        size = between(fault.rng, 0.07, 0.10) * fault.strength
        distance = np.maximum(distance, -bite(frame, fault.rng, edge, size, 0.4))
    height = rounded(distance, 0.16, frame.pixel) * 0.8
    height += ribs * wave * np.float32(0.018 / frame.pixel)
    ring = np.abs(radius - 0.53) - 0.022
    height -= rounded(ring, 0.02, frame.pixel) * 0.7
    height += rounded(_logo(frame, fault), 0.022, frame.pixel) * 0.8
    diffuse, highlight = shade(height, shine=4)
    tone = (0.30 + 0.70 * diffuse) * (1 + 0.02 * skin) * (1 - 0.16 * ribs)
    colour = plastic * tone + highlight * np.float32(0.13)
    cover = coverage(distance, frame.pixel)
    ground = cast(paper * (1 + 0.035 * fleece), distance, frame.pixel, depth=7, soft=18, dark=0.45)
    return Scene(over(ground, colour, cover), cover)


def _logo(frame: Frame, fault: Fault) -> Plane:
    """Signed distance to the logo, three embossed leaves around a ring; one missing or turned if bad."""
    window = frame.window(-0.45, -0.45, 0.45, 0.45)
    wrong, turned = -1, 0.0
    if fault.name == "bad_logo":
        wrong = int(fault.rng.integers(3))
        if fault.rng.random() < 0.5:
            turned = (1 if fault.rng.random() < 0.5 else -1) * 0.55 * fault.strength
    centre = np.hypot(window.x, window.y)
    shape = np.abs(centre - 0.09) - 0.024
    for leaf in range(3):
        if leaf == wrong and turned == 0.0:
            continue
        angle = 2 * np.pi * leaf / 3 + (turned if leaf == wrong else 0.0)
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        line = bar(window.x, window.y, (0.19 * cosine, 0.19 * sine), (0.36 * cosine, 0.36 * sine), 0.045)
        shape = np.minimum(shape, line)
    whole = np.full_like(frame.x, 1.0)
    whole[window.box] = shape
    return whole


BUTTON_RADIUS = 0.74
HOLE_PLACE, HOLE_RADIUS = 0.155, 0.072


def button(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a marbled button with four holes."""
    light, dark = jittered(rng, (0.72, 0.62, 0.48)), jittered(rng, (0.45, 0.34, 0.24))
    table = jittered(rng, (0.22, 0.21, 0.25))
    felt = clouds(rng, 0.6)
    marble = clouds(rng, 1.5, highest=40)
    radius = np.hypot(frame.x, frame.y)
    distance = radius - BUTTON_RADIUS
    if fault.name == "chip":
        place = between(fault.rng, 0, 2 * np.pi)
        edge = (BUTTON_RADIUS * float(np.cos(place)), BUTTON_RADIUS * float(np.sin(place)))
        size = between(fault.rng, 0.065, 0.095) * fault.strength
        distance = np.maximum(distance, -bite(frame, fault.rng, edge, size, 0.35))
    holes = _holes(frame, fault)
    # A raised rim, a dished middle, and a countersink at every hole.
    rim = np.sqrt(np.maximum(0.13**2 - (radius - 0.60) ** 2, 0)) * np.float32(0.75 / frame.pixel)
    height = rounded(distance, 0.10, frame.pixel) * 0.7 + rim
    height -= smooth(holes, 0.045, 0.0) * np.float32(0.035 / frame.pixel)
    diffuse, highlight = shade(height, shine=5)
    veins = smooth(np.abs(marble), 0.28, 0.0)
    tone = np.clip(0.30 + 0.22 * marble + 0.35 * veins, 0, 1)
    colour = over(light, dark, tone) * (0.28 + 0.72 * diffuse) + highlight * np.float32(0.30)
    solid = np.maximum(distance, -holes)
    cover = coverage(solid, frame.pixel)
    ground = cast(table * (1 + 0.06 * felt), distance, frame.pixel, depth=6, soft=16)
    ground = over(ground, ground * np.float32(0.45), coverage(holes, frame.pixel))
    return Scene(over(ground, colour, cover), cover)


def _holes(frame: Frame, fault: Fault) -> Plane:
    """Signed distance to the four holes, one of them missing or shifted if faulty."""
    window = frame.window(-0.4, -0.4, 0.4, 0.4)
    wrong = int(fault.rng.integers(4)) if fault.name in ("missing_hole", "shifted_hole") else -1
    shape = np.full_like(window.x, 1.0)
    for hole in range(4):
        centre = (HOLE_PLACE * (1 if hole & 1 else -1), HOLE_PLACE * (1 if hole & 2 else -1))
        if hole == wrong and fault.name == "missing_hole":
            continue
        if hole == wrong:
            angle = between(fault.rng, 0, 2 * np.pi)
            move = between(fault.rng, 0.06, 0.085) * fault.strength
            centre = (centre[0] + move * float(np.cos(angle)), centre[1] + move * float(np.sin(angle)))
        shape = np.minimum(shape, np.hypot(window.x - centre[0], window.y - centre[1]) - HOLE_RADIUS)
    whole = np.full_like(frame.x, 1.0)
    whole[window.box] = shape
    return whole
