"""Round metal parts seen from above: washer, lock washer (its look-alike) and gear."""

from __future__ import annotations

import numpy as np

from ltbench.splits.rendering.canvas import Fault, Frame, Plane, Scene, coverage, jittered, over
from ltbench.splits.rendering.light import cast, rounded, shade, smooth, turned_shine
from ltbench.splits.rendering.noise import clouds
from ltbench.splits.rendering.shapes import bite, box
from ltbench.splits.rendering.streams import between


def washer(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a washer."""
    return _ring(frame, rng, fault, middle=0.49, half_width=0.185, slit=False)


def lock_washer(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a lock washer, a ring with an oblique slit."""
    return _ring(frame, rng, fault, middle=0.51, half_width=0.155, slit=True)


def _ring(
    frame: Frame, rng: np.random.Generator, fault: Fault, *, middle: float, half_width: float, slit: bool
) -> Scene:
    """Draw a metal ring, optionally with a slit, lying on a table."""
    steel, table = jittered(rng, (0.80, 0.80, 0.82)), jittered(rng, (0.20, 0.22, 0.27))
    felt = clouds(rng, 0.6)
    patina = clouds(rng, 1.5, highest=60)
    grooves = rng.standard_normal(400, dtype=np.float32)
    middle += between(rng, -0.008, 0.008)
    x, y = frame.x, frame.y
    if fault.name == "deformed":
        x, y = _squashed(x, y, fault)
    radius = np.hypot(x, y)
    distance = np.abs(radius - middle) - half_width
    if slit:
        distance = np.maximum(distance, -_slit(frame, fault, middle))
    if fault.name == "chip":
        distance = np.maximum(distance, -_chip(frame, fault, middle, half_width))
    height = rounded(distance, 0.05, frame.pixel)
    diffuse, highlight = shade(height, shine=3)
    face = smooth(distance, -0.03, -0.055)
    up_x, up_y = frame.upright()
    fans = turned_shine(up_x, up_y, np.hypot(up_x, up_y), 5.0)
    # The texture of the face is not deformed, so that the mask only contains changes of the outline.
    lathe = grooves.take((np.hypot(frame.x, frame.y) * 330).astype(np.intp).clip(0, 399))
    tone = 0.60 + face * (0.34 * fans + 0.04 * lathe) + 0.025 * patina
    colour = steel * (tone * diffuse) + highlight * (1 - face) * np.float32(0.35)
    cover = coverage(distance, frame.pixel)
    ground = cast(table * (1 + 0.06 * felt), distance, frame.pixel)
    return Scene(over(ground, colour, cover), cover)


def _squashed(x: Plane, y: Plane, fault: Fault) -> tuple[Plane, Plane]:
    """Stretch coordinates in a random direction, which deforms a circle to an ellipse."""
    angle = between(fault.rng, 0, np.pi)
    amount = 0.085 * fault.strength
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    along, across = x * cosine + y * sine, y * cosine - x * sine
    along, across = along * (1 + amount), across * (1 - amount)
    return along * cosine - across * sine, along * sine + across * cosine


def _slit(frame: Frame, fault: Fault, middle: float) -> Plane:
    """Signed distance to the oblique cut at the right, wider with the defect `wide_gap`."""
    half = 0.028
    if fault.name == "wide_gap":
        half += between(fault.rng, 0.045, 0.075) * fault.strength
    slanted = frame.y + (frame.x - middle) * 0.45
    return np.maximum(np.abs(slanted) - half, -frame.x)


def _chip(frame: Frame, fault: Fault, middle: float, half_width: float) -> Plane:
    """Signed distance to a chip at the inner or outer edge of a ring."""
    rng = fault.rng
    angle = between(rng, 0, 2 * np.pi)
    edge = middle + half_width * (1 if rng.random() < 0.65 else -1)
    place = (edge * float(np.cos(angle)), edge * float(np.sin(angle)))
    return bite(frame, rng, place, between(rng, 0.055, 0.085) * fault.strength)


TEETH = 18
HOLES = 6


def gear(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a brass gear with holes."""
    brass, table = jittered(rng, (0.76, 0.59, 0.28)), jittered(rng, (0.24, 0.27, 0.31))
    felt = clouds(rng, 0.6)
    patina = clouds(rng, 1.3, highest=50)
    grooves = rng.standard_normal(400, dtype=np.float32)
    radius = np.hypot(frame.x, frame.y)
    angle = np.arctan2(frame.y, frame.x)
    outline = _teeth(radius, angle, fault)
    bore = np.minimum(radius - 0.12, box(frame.x, frame.y, (0.12, 0.0), (0.055, 0.04), 0.01))
    sector = np.float32(2 * np.pi / HOLES)
    turn = np.round(angle / sector) * sector
    # Distance to the nearest hole: every point is rotated into the sector of the first hole.
    across = frame.x * np.cos(turn) + frame.y * np.sin(turn) - 0.40
    down = frame.y * np.cos(turn) - frame.x * np.sin(turn)
    holes: Plane = np.hypot(across, down) - 0.092
    plug: Plane | None = None
    if fault.name == "blocked_hole":
        holes, plug = _plugged(frame, fault, holes)
    distance = np.maximum(outline, -np.minimum(bore, holes))
    hub = np.maximum(radius - 0.22, 0.12 - radius)
    height = rounded(distance, 0.035, frame.pixel) + rounded(hub, 0.03, frame.pixel)
    diffuse, highlight = shade(height, shine=3)
    face = smooth(distance, -0.015, -0.035)
    up_x, up_y = frame.upright()
    fans = turned_shine(up_x, up_y, np.hypot(up_x, up_y), 4.0)
    lathe = grooves.take((radius * 300).astype(np.intp).clip(0, 399))
    tone = 0.70 + face * (0.22 * fans + 0.03 * lathe) + 0.045 * patina
    colour = brass * (tone * diffuse) + highlight * (1 - face) * np.float32(0.22)
    cover = coverage(distance, frame.pixel)
    ground = cast(table * (1 + 0.06 * felt), distance, frame.pixel)
    picture: Plane = over(ground, colour, cover)
    if plug is not None:
        resin = brass * np.float32(0.45) * (1 + 0.18 * patina + 0.12 * felt)
        picture = over(picture, resin, plug)
        cover = np.maximum(cover, plug)
    return Scene(picture, cover)


def _teeth(radius: Plane, angle: Plane, fault: Fault) -> Plane:
    """Signed distance to the toothed disc, with one tooth missing or bent if faulty."""
    root, tip = 0.655, 0.80
    phase = angle * np.float32(TEETH / (2 * np.pi))
    tip_of = np.full_like(radius, tip)
    if fault.name in ("missing_tooth", "bent_tooth"):
        chosen = int(fault.rng.integers(-TEETH // 2 + 1, TEETH // 2))
        near = np.abs(phase - chosen) < 0.5
        if fault.name == "missing_tooth":
            left_over = between(fault.rng, 0.0, 0.35) / fault.strength
            tip_of[near] = root + (tip - root) * left_over
        else:
            side = 1 if fault.rng.random() < 0.5 else -1
            lean = np.maximum(radius - root + 0.02, 0) * (side * 2.3 * fault.strength)
            phase = np.where(np.abs(phase - chosen - lean) < 0.5, phase - lean, phase)
    offset = np.abs(phase - np.round(phase))
    half = 0.27 - 0.55 * (radius - root)
    flank = (offset - half) * radius * np.float32(2 * np.pi / TEETH)
    tooth = np.maximum(radius - tip_of, flank)
    distance: Plane = np.minimum(radius - root, tooth)
    return distance


def _plugged(frame: Frame, fault: Fault, holes: Plane) -> tuple[Plane, Plane]:
    """Signed distance to the holes, and coverage of the plug in one of them."""
    rng = fault.rng
    angle = int(rng.integers(HOLES)) * 2 * np.pi / HOLES
    centre = (0.40 * float(np.cos(angle)), 0.40 * float(np.sin(angle)))
    here = np.hypot(frame.x - centre[0], frame.y - centre[1]) - 0.092
    reach = min(0.082 * fault.strength, 0.1)
    shift = (between(rng, -0.03, 0.03), between(rng, -0.03, 0.03))
    lump = bite(frame, rng, (centre[0] + shift[0], centre[1] + shift[1]), reach)
    return holes, coverage(np.maximum(lump, here), frame.pixel)
