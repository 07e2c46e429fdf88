"""Textures: leather, wood, granite and brushed metal."""

from __future__ import annotations

import numpy as np

from ltbench.splits.rendering.canvas import SIZE, Fault, Frame, Plane, Scene, jittered, over
from ltbench.splits.rendering.light import shade, smooth
from ltbench.splits.rendering.noise import LATTICE, cells, clouds, streaks
from ltbench.splits.rendering.streams import between

_WHOLE = np.ones((SIZE, SIZE), dtype=np.float32)
_WHOLE.setflags(write=False)


def leather(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:  # noqa: ARG001  nothing structural
    """Draw leather from cells with rounded pebbles."""
    colour = jittered(rng, (0.52, 0.28, 0.18))
    density = between(rng, 8.4, 9.4)
    wander = clouds(rng, 1.8, highest=24) * np.float32(0.25)
    fine = clouds(rng, 0.55)
    u = frame.x * density + 20 + wander
    v = frame.y * density + 20 + np.roll(wander, 101, axis=0)
    first, second, index = cells(rng, u, v)
    pebble = smooth(second - first, -0.10, 0.55)
    tones = 1 + rng.standard_normal(LATTICE * LATTICE, dtype=np.float32) * np.float32(0.03)
    height = pebble * 1.25 - first * first * 0.9 + fine * 0.10
    diffuse, highlight = shade(height, shine=4)
    tone = (0.80 + 0.20 * pebble) * tones.take(index) * (1 + 0.10 * wander)
    return Scene(colour * (tone * diffuse) + highlight * np.float32(0.10), _WHOLE)


def wood(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw wood with annual rings, fibres, pores and, as a defect, a knot."""
    light, dark = jittered(rng, (0.76, 0.56, 0.34)), jittered(rng, (0.50, 0.31, 0.16))
    turn = float(np.arctan2(frame.sine, frame.cosine))
    bands = between(rng, 4.0, 9.0)
    drift = streaks(rng, 420, 55, turn, slope=1.4)
    fibre = streaks(rng, 90, 1.6, turn)
    pores = streaks(rng, 26, 1.2, turn)
    phase = frame.y * bands + drift * np.float32(between(rng, 0.7, 1.2)) + between(rng, 0, 9)
    core: Plane | None = None
    if fault.name == "knot":
        pull, core = _knot(frame, fault)
        phase = phase + pull
    saw = phase - np.floor(phase)
    late = saw * saw * smooth(saw, 1.0, 0.86)
    heart = smooth(drift, 0.6, 1.8) * np.float32(between(rng, 0.0, 0.35))
    tone = 0.62 * late + 0.15 * fibre + 0.22 + heart
    colour = over(light, dark, np.clip(tone, 0, 1))
    colour = colour * (1 + 0.05 * fibre - 0.34 * smooth(pores, 1.2, 2.6))
    if core is not None:
        rings = 0.75 + 0.25 * np.cos(core * 30)
        colour = over(colour, dark * np.float32(0.62) * rings, smooth(core, 1.0, 0.75) * np.float32(0.85))
    return Scene(colour, _WHOLE)


def _knot(frame: Frame, fault: Fault) -> tuple[Plane, Plane]:
    """Displacement of the rings by a knot, and distance from its core in core radii."""
    rng = fault.rng
    x0, y0 = between(rng, -0.7, 0.7), between(rng, -0.7, 0.7)
    radius = between(rng, 0.055, 0.085) * fault.strength
    dx, dy = (frame.x - x0) / 1.5, frame.y - y0
    distance = np.hypot(dx, dy) / radius
    push = np.tanh(dy / radius) * np.exp(-np.maximum(distance - 0.5, 0) * 0.75)
    return -1.1 * fault.strength * push, distance


def granite(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:  # noqa: ARG001  nothing structural
    """Draw granite from cells of four minerals."""
    stone = jittered(rng, (0.63, 0.62, 0.60), 0.02)
    minerals = np.stack(
        [
            stone[:, 0, 0],
            stone[:, 0, 0] * np.float32(1.14),
            jittered(rng, (0.66, 0.57, 0.53), 0.02)[:, 0, 0],
            jittered(rng, (0.37, 0.36, 0.38), 0.02)[:, 0, 0],
        ],
        axis=1,
    )
    density = between(rng, 18, 21)
    wander = clouds(rng, 1.2, highest=60) * np.float32(0.35)
    veins = clouds(rng, 0.8, highest=30)
    grain = clouds(rng, 0.35)
    u = frame.x * density + 30 + wander
    v = frame.y * density + 30 + np.roll(wander, 83, axis=1)
    first, second, index = cells(rng, u, v)
    lot = rng.standard_normal(LATTICE * LATTICE, dtype=np.float32).take(index)
    dark = 0.45 * veins + lot
    kind = np.zeros(index.shape, dtype=np.intp)
    kind[lot > 0.45] = 1
    kind[np.roll(veins, 120, axis=0) + 0.8 * lot > 1.25] = 2
    kind[dark < -1.45] = 3
    tone = (1 + 0.06 * grain) * (0.92 + 0.08 * smooth(second - first, 0, 0.16))
    tone += 0.03 * np.sin(lot * 50)
    return Scene(minerals.take(kind, axis=1) * tone, _WHOLE)


def brushed(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:  # noqa: ARG001  nothing structural
    """Draw brushed metal from long and short streaks."""
    colour = jittered(rng, (0.62, 0.64, 0.67))
    turn = float(np.arctan2(frame.sine, frame.cosine))
    long = streaks(rng, 330, 1.1, turn, slope=0.45)
    short = streaks(rng, 60, 0.8, turn, slope=0.0)
    place, width = between(rng, -0.9, 0.9), between(rng, 0.5, 0.9)
    sheen = np.exp(-(((frame.y - place) / width) ** 2))
    tone = 0.84 + 0.095 * long + 0.05 * short + 0.22 * sheen
    return Scene(colour * tone, _WHOLE)
