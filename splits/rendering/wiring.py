"""Cross-section of a cable, and a connector with a row of pins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ltbench.splits.rendering.canvas import Fault, Frame, Plane, Scene, coverage, jittered, over
from ltbench.splits.rendering.light import cast, rounded, shade, smooth
from ltbench.splits.rendering.noise import clouds
from ltbench.splits.rendering.shapes import box
from ltbench.splits.rendering.streams import between

SHEATH_OUTER, SHEATH_INNER = 0.80, 0.66
WIRE_PLACE, WIRE_RADIUS, CORE_RADIUS = 0.345, 0.285, 0.155
STRAND_RADIUS = 0.052


def cable(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw the cross-section of a cable with three wires."""
    sheath, filler = jittered(rng, (0.74, 0.74, 0.73)), jittered(rng, (0.44, 0.44, 0.45))
    table = jittered(rng, (0.27, 0.26, 0.26))
    insulation = [jittered(rng, c) for c in ((0.16, 0.33, 0.66), (0.22, 0.55, 0.25), (0.72, 0.44, 0.16))]
    copper = jittered(rng, (0.83, 0.54, 0.36))
    felt = clouds(rng, 0.6)
    cut = clouds(rng, 0.9, highest=70)
    places = [
        (between(rng, -0.012, 0.012), between(rng, -0.012, 0.012), between(rng, 0, 1)) for _ in range(3)
    ]
    strand_tones = rng.random((3, 7)) * 0.35 + 0.8
    radius = np.hypot(frame.x, frame.y)
    distance = radius - SHEATH_OUTER
    ring = np.maximum(distance, SHEATH_INNER - radius)
    colour = cast(table * (1 + 0.07 * felt), distance, frame.pixel)
    hollow = filler * (0.62 + 0.25 * smooth(radius, SHEATH_INNER, SHEATH_INNER - 0.16) + 0.05 * cut)
    colour = over(colour, hollow, coverage(distance, frame.pixel))
    edge, _ = shade(rounded(ring, 0.03, frame.pixel))
    colour = over(colour, sheath * (edge * (0.92 + 0.055 * cut)), coverage(ring, frame.pixel))
    order, absent = [0, 1, 2], -1
    if fault.name == "swap":
        first = int(fault.rng.integers(3))
        second = (first + 1) % 3
        order[first], order[second] = order[second], order[first]
    if fault.name == "missing_wire":
        absent = int(fault.rng.integers(3))
    loose = _missing_strands(fault)
    for wire in range(3):
        angle = 2 * np.pi * wire / 3 + np.pi / 6
        dx, dy, twist = places[wire]
        centre = (WIRE_PLACE * float(np.cos(angle)) + dx, WIRE_PLACE * float(np.sin(angle)) + dy)
        window = frame.window(*(c + s * 0.34 for s in (-1, 1) for c in centre))
        piece = colour[:, *window.box]
        if wire == absent:
            # A missing wire leaves a hollow in the filler.
            bed = np.hypot(window.x - centre[0], window.y - centre[1]) - WIRE_RADIUS
            hollow_light, _ = shade(-rounded(bed, 0.07, window.pixel))
            bare = piece * (0.72 * hollow_light)
            colour[:, *window.box] = over(piece, bare, coverage(bed, window.pixel))
            continue
        piece = _insulate(piece, window, centre, insulation[order[wire]] * (1 + 0.04 * cut[window.box]))
        gone = loose[1] if loose[0] == wire else ()
        core = _Core(copper, twist, tuple(strand_tones[wire].tolist()), gone)
        colour[:, *window.box] = _strands(piece, window, centre, core)
    return Scene(colour, coverage(distance, frame.pixel))


def _insulate(piece: Plane, window: Frame, centre: tuple[float, float], plastic: Plane) -> Plane:
    """Draw the insulation of a wire over a window."""
    away = np.hypot(window.x - centre[0], window.y - centre[1])
    wire = away - WIRE_RADIUS
    under = np.clip(np.exp(np.maximum(wire, 0) * np.float32(-1 / 0.03)), 0, 1)
    piece = piece * (1 - 0.45 * under)
    height = rounded(wire, 0.05, window.pixel) - rounded(away - CORE_RADIUS, 0.03, window.pixel)
    diffuse, highlight = shade(height, shine=4)
    colour = plastic * (0.25 + 0.75 * diffuse) + highlight * np.float32(0.10)
    colour = over(colour, plastic * np.float32(0.30), coverage(away - CORE_RADIUS, window.pixel))
    return over(piece, colour, coverage(wire, window.pixel))


@dataclass(frozen=True)
class _Core:
    """Core of a wire: seven copper strands, one in the middle and six around it."""

    copper: Plane
    turn: float
    """Rotation in sixths of a turn."""
    tones: tuple[float, ...]
    gone: tuple[int, ...]
    """Numbers of the missing strands."""


def _strands(piece: Plane, window: Frame, centre: tuple[float, float], core: _Core) -> Plane:
    """Draw the strands of a wire's core over a window."""
    away = np.full_like(window.x, 1.0)
    tone = np.full_like(window.x, 1.0)
    for strand in range(7):
        if strand in core.gone:
            continue
        angle = (strand + core.turn) * np.pi / 3
        reach = 0.0 if strand == 6 else 0.1
        place = (centre[0] + reach * float(np.cos(angle)), centre[1] + reach * float(np.sin(angle)))
        here = np.hypot(window.x - place[0], window.y - place[1]) - STRAND_RADIUS
        tone = np.where(here < away, np.float32(core.tones[strand]), tone)
        away = np.minimum(away, here)
    diffuse, highlight = shade(rounded(away, 0.035, window.pixel), shine=3)
    colour = core.copper * (tone * diffuse * np.float32(0.92)) + highlight * np.float32(0.15)
    return over(piece, colour, coverage(away, window.pixel))


def _missing_strands(fault: Fault) -> tuple[int, tuple[int, ...]]:
    """Choose a wire and its missing strands, more of them for a stronger defect; (-1, ()) without it."""
    if fault.name != "missing_core":
        return -1, ()
    wire = int(fault.rng.integers(3))
    count = 1 + round(1.4 * fault.strength * float(fault.rng.random()) + 0.4)
    first = int(fault.rng.integers(6))
    return wire, tuple((first + step) % 6 for step in range(count))


PINS = 8
PIN_STEP, PIN_HALF = 0.172, 0.034
HOUSING_TOP, HOUSING_BOTTOM, PIN_END = -0.62, -0.06, 0.66


def connector(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a connector with eight pins."""
    plastic, gold = jittered(rng, (0.14, 0.14, 0.15), 0.02), jittered(rng, (0.84, 0.67, 0.36))
    paper = jittered(rng, (0.70, 0.70, 0.70))
    fleece = clouds(rng, 0.7)
    skin = clouds(rng, 0.5)
    ends = [between(rng, -0.008, 0.008) for _ in range(PINS)]
    housing = box(
        frame.x,
        frame.y,
        (0.0, (HOUSING_TOP + HOUSING_BOTTOM) / 2),
        (0.76, (HOUSING_BOTTOM - HOUSING_TOP) / 2),
        0.04,
    )
    pins, offset = _pins(frame, ends, fault)
    distance = np.minimum(housing, pins)
    colour = cast(paper * (1 + 0.035 * fleece), distance, frame.pixel, depth=6, soft=14, dark=0.5)
    diffuse, highlight = shade(rounded(pins, 0.026, frame.pixel), shine=3)
    metal = gold * (0.15 + 0.80 * diffuse + 0.10 * np.exp(-((offset + 0.3) ** 2) * 18)) + 0.25 * highlight
    metal = metal * (0.72 + 0.28 * smooth(frame.y, HOUSING_BOTTOM, HOUSING_BOTTOM + 0.07))
    colour = over(colour, metal, coverage(pins, frame.pixel))
    nearest = frame.x - _nearest(frame.x) * np.float32(PIN_STEP) - np.float32(PIN_STEP / 2)
    slots = box(nearest, frame.y, (0.0, -0.36), (0.05, 0.13), 0.02)
    step = np.maximum(housing, frame.y + 0.16)
    height = rounded(housing, 0.05, frame.pixel) + rounded(step, 0.02, frame.pixel)
    height -= rounded(slots, 0.02, frame.pixel)
    diffuse, highlight = shade(height, shine=3)
    body = plastic * (diffuse * (1 + 0.07 * skin)) + highlight * np.float32(0.10)
    body = over(body, plastic * np.float32(0.35), coverage(slots + 0.012, frame.pixel))
    colour = over(colour, body, coverage(housing, frame.pixel))
    return Scene(colour, coverage(distance, frame.pixel))


def _nearest(x: Plane) -> Plane:
    """Number of the nearest pin, -4 to 3; pin n is at (n + 0.5) steps."""
    number: Plane = np.clip(np.floor(x / PIN_STEP), -PINS // 2, PINS // 2 - 1)
    return number


def _pins(frame: Frame, ends: list[float], fault: Fault) -> tuple[Plane, Plane]:
    """Signed distance to the pins, and position across the nearest pin, -1 to 1."""
    x, y = frame.x, frame.y
    end = np.asarray(ends, dtype=np.float32).take((_nearest(x) + PINS // 2).astype(np.intp)) + PIN_END
    chosen = int(fault.rng.integers(-PINS // 2, PINS // 2)) if fault.name.endswith("_pin") else None
    own: Plane | None = None
    if chosen is not None:
        centre = (chosen + 0.5) * PIN_STEP
        if fault.name == "bent_pin":
            side = 1 if fault.rng.random() < 0.5 else -1
            below = np.maximum(y - between(fault.rng, 0.05, 0.2), 0)
            lean = below * (side * between(fault.rng, 0.16, 0.24) * fault.strength)
            own = x - centre - lean
            end = np.where(np.abs(own) < PIN_STEP / 2, np.float32(PIN_END), end)
        reach = {"missing_pin": HOUSING_BOTTOM - 0.1, "bent_pin": 0.0}.get(fault.name)
        if reach is None:
            reach = PIN_END - between(fault.rng, 0.12, 0.22) * fault.strength
        end = np.where(_nearest(x) == chosen, np.float32(reach) if own is None else end, end)
    across = x - (_nearest(x) + 0.5) * np.float32(PIN_STEP)
    if own is not None:
        across = np.where(_nearest(x) == chosen, np.float32(PIN_STEP / 2), across)
        across = np.where(np.abs(own) < np.abs(across), own, across)
    # Pins taper towards their tips.
    half = PIN_HALF - smooth(y, end - 0.09, end) * np.float32(0.018)
    distance = np.maximum(np.abs(across) - half, np.maximum(y - end, HOUSING_BOTTOM - 0.05 - y))
    return distance, across / np.float32(PIN_HALF)
