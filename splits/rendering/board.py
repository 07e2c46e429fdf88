"""A printed circuit board: traces, vias, two chips and five small parts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ltbench.splits.rendering.canvas import Fault, Frame, Plane, Scene, coverage, jittered, over, rgb
from ltbench.splits.rendering.light import shade
from ltbench.splits.rendering.noise import clouds
from ltbench.splits.rendering.shapes import bar, box
from ltbench.splits.rendering.streams import between

Point = tuple[float, float]
TRACES: tuple[tuple[Point, ...], ...] = (
    ((-1.2, -0.86), (0.10, -0.86), (0.22, -0.74), (1.2, -0.74)),
    ((-1.2, -0.50), (-0.72, -0.50)),
    ((-1.2, -0.40), (-0.86, -0.40), (-0.78, -0.32)),
    ((-0.10, -0.50), (0.20, -0.50), (0.28, -0.55), (0.40, -0.55)),
    ((-0.10, -0.32), (0.42, -0.32), (0.50, -0.24), (0.62, -0.24)),
    ((0.78, -0.24), (0.92, -0.24), (1.02, -0.34), (1.2, -0.34)),
    ((-1.2, 0.02), (-0.36, 0.02), (-0.20, 0.18), (0.12, 0.18)),
    ((-1.2, 0.14), (-0.44, 0.14), (-0.26, 0.32), (0.12, 0.32)),
    ((-0.42, 0.46), (-0.20, 0.46), (0.12, 0.46)),
    ((-1.2, 0.46), (-0.66, 0.46)),
    ((-0.10, 0.66), (0.02, 0.60), (0.12, 0.60)),
    ((-1.2, 0.66), (-0.34, 0.66)),
    ((-1.2, 0.86), (0.40, 0.86), (0.52, 0.74), (1.2, 0.74)),
    ((0.78, 0.18), (1.2, 0.18)),
    ((0.78, 0.32), (0.90, 0.32), (1.00, 0.42), (1.2, 0.42)),
    ((-0.48, -0.02), (0.30, -0.02), (0.40, -0.10), (1.2, -0.10)),
)
VIAS: tuple[Point, ...] = (
    (-0.78, -0.32),
    (0.40, -0.55),
    (-0.48, -0.02),
    (0.84, 0.52),
    (-0.86, 0.30),
    (0.12, -0.68),
)
TRACE_HALF = 0.018


@dataclass(frozen=True)
class Part:
    """Small component with two silver ends."""

    x: float
    y: float
    half_length: float = 0.085
    half_width: float = 0.045
    turn: float = 0.0


PARTS = (Part(0.48, -0.55), Part(0.70, -0.24), Part(-0.54, 0.46), Part(-0.22, 0.66), Part(0.62, 0.80))
CHIPS = ((-0.41, -0.42, 0.27, 0.17), (0.45, 0.38, 0.24, 0.30))
"""Centre x and y, half width, half height."""
LEG_STEP = 0.10


def pcb(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a printed circuit board."""
    mask_green, copper = jittered(rng, (0.05, 0.31, 0.17), 0.025), jittered(rng, (0.20, 0.50, 0.31), 0.025)
    silver, gold = jittered(rng, (0.72, 0.73, 0.74)), jittered(rng, (0.78, 0.64, 0.34))
    weave = clouds(rng, 0.7)
    sheen = clouds(rng, 1.5, highest=20)
    moves = rng.standard_normal((len(PARTS), 3)) * (0.006, 0.006, 0.03)
    tones = rng.random(len(PARTS)) * 0.16 + 0.92
    traces = _traces(frame)
    if fault.name in ("open", "short"):
        traces = _broken_traces(frame, traces, fault)
    diffuse, highlight = shade(traces * 0.9, shine=3)
    colour = over(mask_green * (1 + 0.05 * weave + 0.05 * sheen), copper * (1 + 0.04 * weave), traces)
    colour = colour * diffuse + highlight * np.float32(0.04)
    for via in VIAS:
        _via(colour, frame, via, gold)
    for chip in CHIPS:
        _chip(colour, frame, chip, silver, weave)
    parts = [
        Part(p.x + dx, p.y + dy, p.half_length, p.half_width, turn)
        for p, (dx, dy, turn) in zip(PARTS, moves, strict=True)
    ]
    wrong = int(fault.rng.integers(len(PARTS))) if fault.name in ("missing_part", "misplaced") else -1
    for number, part in enumerate(parts):
        _pads(colour, frame, PARTS[number], silver)
        if number == wrong and fault.name == "missing_part":
            continue
        _small_part(
            colour, frame, _misplaced(part, fault) if number == wrong else part, silver, tones[number]
        )
    return Scene(colour, np.ones_like(frame.x))


def _traces(frame: Frame) -> Plane:
    """Coverage of all traces."""
    cover = np.zeros_like(frame.x)
    reach = TRACE_HALF + 2 * frame.pixel
    for points in TRACES:
        for start, end in pairwise(points):
            window = frame.window(
                min(start[0], end[0]) - reach,
                min(start[1], end[1]) - reach,
                max(start[0], end[0]) + reach,
                max(start[1], end[1]) + reach,
            )
            line = coverage(bar(window.x, window.y, start, end, TRACE_HALF), frame.pixel)
            cover[window.box] = np.maximum(cover[window.box], line)
    return cover


def _broken_traces(frame: Frame, cover: Plane, fault: Fault) -> Plane:
    """Cut one trace (`open`) or bridge two neighbours (`short`)."""
    rng = fault.rng
    cover = cover.copy()
    if fault.name == "open":
        long = [(a, b) for points in TRACES for a, b in pairwise(points) if b[0] - a[0] > 0.25]
        start, end = long[int(rng.integers(len(long)))]
        low, high = max(start[0], -0.9), min(end[0], 0.9)
        place = between(rng, low + 0.06, max(high - 0.06, low + 0.07))
        gap = box(
            frame.x, frame.y, (place, start[1]), (between(rng, 0.03, 0.05) * fault.strength, 0.04), 0.004
        )
        return cover * (1 - coverage(gap, frame.pixel))
    pairs = (
        ((-1.0, 0.02), (-0.46, 0.14)),
        ((-1.0, -0.50), (-0.82, -0.40)),
        ((-0.18, 0.18), (0.1, 0.32)),
        ((-0.18, 0.32), (0.1, 0.46)),
        ((0.8, 0.18), (0.88, 0.32)),
    )
    (left, top), (right, bottom) = pairs[int(rng.integers(len(pairs)))]
    place = between(rng, left, right)
    half = between(rng, 0.02, 0.03) * fault.strength
    bridge = bar(frame.x, frame.y, (place, top), (place + between(rng, -0.03, 0.03), bottom), half)
    return np.maximum(cover, coverage(bridge, frame.pixel))


def _misplaced(part: Part, fault: Fault) -> Part:
    """Rotate and shift a component by the defect's strength."""
    rng = fault.rng
    turn = (1 if rng.random() < 0.5 else -1) * between(rng, 0.35, 0.6) * fault.strength
    angle, move = between(rng, 0, 2 * np.pi), between(rng, 0.03, 0.05) * fault.strength
    x, y = part.x + move * float(np.cos(angle)), part.y + move * float(np.sin(angle))
    return Part(x, y, part.half_length, part.half_width, part.turn + turn)


def _via(colour: Plane, frame: Frame, centre: Point, gold: Plane) -> None:
    """Draw a via, a gold ring with a dark hole, in place."""
    window = frame.window(centre[0] - 0.06, centre[1] - 0.06, centre[0] + 0.06, centre[1] + 0.06)
    away = np.hypot(window.x - centre[0], window.y - centre[1])
    piece = over(colour[:, *window.box], gold, coverage(away - 0.042, frame.pixel))
    colour[:, *window.box] = over(piece, gold * np.float32(0.15), coverage(away - 0.018, frame.pixel))


def _chip(
    colour: Plane, frame: Frame, chip: tuple[float, float, float, float], silver: Plane, weave: Plane
) -> None:
    """Draw a chip with legs, a dot and printed lines, in place."""
    x0, y0, half_width, half_height = chip
    reach = 0.09
    window = frame.window(
        x0 - half_width - reach, y0 - half_height - reach, x0 + half_width + reach, y0 + half_height + reach
    )
    if 0 in window.x.shape:
        return
    x, y = window.x - x0, window.y - y0
    piece = colour[:, *window.box]
    # Legs repeat along y; abs(x) draws both sides.
    nearest = y - np.round(y / LEG_STEP - 0.5) * np.float32(LEG_STEP) - np.float32(LEG_STEP / 2)
    legs = box(np.abs(x), nearest, (half_width + 0.03, 0.0), (0.045, 0.022), 0.006)
    legs = np.maximum(legs, np.abs(y) - half_height + 0.03)
    body = box(x, y, (0.0, 0.0), (half_width, half_height), 0.015)
    piece = piece * (1 - 0.45 * np.exp(np.maximum(np.minimum(body, legs), 0) * np.float32(-1 / 0.02)))
    diffuse, _ = shade(rounded_plate(legs, 0.015, frame.pixel))
    piece = over(piece, silver * diffuse, coverage(legs, frame.pixel))
    diffuse, highlight = shade(rounded_plate(body, 0.03, frame.pixel), shine=3)
    plastic = rgb((0.13, 0.13, 0.14)) * (diffuse * (1 + 0.06 * weave[window.box])) + highlight * np.float32(
        0.06
    )
    dot = np.hypot(x + half_width - 0.07, y + half_height - 0.07) - 0.022
    plastic = over(plastic, rgb((0.42, 0.42, 0.42)), coverage(dot, frame.pixel))
    print_rows = np.maximum(np.abs(np.abs(y) - 0.04) - 0.016, np.abs(x) - half_width * 0.55)
    dashes = np.maximum(print_rows, 0.008 - np.abs(x - np.round(x / 0.05) * np.float32(0.05)))
    plastic = over(plastic, rgb((0.40, 0.40, 0.40)), coverage(dashes, frame.pixel) * np.float32(0.7))
    colour[:, *window.box] = over(piece, plastic, coverage(body, frame.pixel))


def rounded_plate(distance: Plane, width: float, pixel: float) -> Plane:
    """Height in pixels of a plate whose edge rises linearly over `width`, from signed distances."""
    height: Plane = np.clip(distance * np.float32(-1 / width), 0, 1) * np.float32(0.7 * width / pixel)
    return height


def _pads(colour: Plane, frame: Frame, part: Part, silver: Plane) -> None:
    """Draw the two solder pads of a component, in place."""
    window = frame.window(part.x - 0.17, part.y - 0.1, part.x + 0.17, part.y + 0.1)
    across = np.abs(window.x - part.x)
    pads = box(across, window.y, (part.half_length, part.y), (0.042, 0.052), 0.008)
    colour[:, *window.box] = over(
        colour[:, *window.box], silver * np.float32(0.72), coverage(pads, frame.pixel)
    )


def _small_part(colour: Plane, frame: Frame, part: Part, silver: Plane, tone: float) -> None:
    """Draw a small component with two silver ends, in place."""
    window = frame.window(part.x - 0.2, part.y - 0.2, part.x + 0.2, part.y + 0.2)
    cosine, sine = float(np.cos(part.turn)), float(np.sin(part.turn))
    dx, dy = window.x - part.x, window.y - part.y
    x, y = dx * cosine + dy * sine, dy * cosine - dx * sine
    body = box(x, y, (0.0, 0.0), (part.half_length, part.half_width), 0.01)
    piece = colour[:, *window.box] * (1 - 0.4 * np.exp(np.maximum(body, 0) * np.float32(-1 / 0.018)))
    diffuse, highlight = shade(rounded_plate(body, 0.02, frame.pixel), shine=2)
    ends = coverage(part.half_length - 0.034 - np.abs(x), frame.pixel)
    surface = over(
        rgb((0.50, 0.46, 0.42)) * np.float32(tone), silver, ends
    ) * diffuse + highlight * np.float32(0.08)
    colour[:, *window.box] = over(piece, surface, coverage(body, frame.pixel))
