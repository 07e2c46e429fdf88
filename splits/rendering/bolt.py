"""Side view of a hexagon bolt."""

from __future__ import annotations

import numpy as np

from ltbench.splits.rendering.canvas import Fault, Frame, Plane, Scene, coverage, jittered, over
from ltbench.splits.rendering.light import cast, smooth
from ltbench.splits.rendering.noise import clouds
from ltbench.splits.rendering.shapes import bite, box
from ltbench.splits.rendering.streams import between

HEAD_TOP, HEAD_BOTTOM, HEAD_HALF = -0.74, -0.45, 0.33
SHANK_HALF = 0.148
THREAD_TOP, TIP = -0.12, 0.76
TURNS = 15.0
"""Thread turns per unit of length."""


def bolt(frame: Frame, rng: np.random.Generator, fault: Fault) -> Scene:
    """Draw a hexagon bolt from the side."""
    steel, paper = jittered(rng, (0.62, 0.65, 0.70)), jittered(rng, (0.74, 0.73, 0.70))
    fleece = clouds(rng, 0.7)
    patina = clouds(rng, 1.2, highest=70)
    start = between(rng, 0, 1)
    x, y = frame.x, frame.y
    if fault.name == "bent_shaft":
        side = 1 if fault.rng.random() < 0.5 else -1
        x = x - np.maximum(y + 0.25, 0) ** 2 * (side * between(fault.rng, 0.10, 0.16) * fault.strength)
    depth = _thread_depth(y, fault)
    wave = (y + 0.055 * x / SHANK_HALF) * TURNS + start
    saw = np.abs(wave - np.floor(wave) - 0.5) * 2
    half = SHANK_HALF + depth * (0.030 * saw - 0.012) - smooth(y, TIP - 0.06, TIP) * np.float32(0.035)
    shank = np.maximum(np.abs(x) - half, np.maximum(y - TIP, HEAD_BOTTOM - y))
    collar = box(x, y, (0.0, HEAD_BOTTOM + 0.018), (0.27, 0.022), 0.015)
    head = box(x, y, (0.0, (HEAD_TOP + HEAD_BOTTOM) / 2), (HEAD_HALF, (HEAD_BOTTOM - HEAD_TOP) / 2), 0.045)
    if fault.name == "chipped_head":
        head = np.maximum(head, -_chip(frame, fault))
    tone = _cylinder(np.clip(x / half, -1, 1))
    flank = np.where(wave - np.floor(wave) < 0.5, 1.0, -1.0).astype(np.float32)
    tone = tone * (1 + depth * (0.20 * flank + 0.30 * saw - 0.20))
    distance = np.minimum(np.minimum(shank, collar), head)
    ground = cast(paper * (1 + 0.035 * fleece), distance, frame.pixel, dark=0.42)
    colour = over(ground, steel * (tone * (1 + 0.03 * patina)), coverage(shank, frame.pixel))
    colour = over(colour, steel * (0.9 * _cylinder(np.clip(x / 0.27, -1, 1))), coverage(collar, frame.pixel))
    colour = over(colour, steel * (_head(x, y, head) * (1 + 0.05 * patina)), coverage(head, frame.pixel))
    return Scene(colour, coverage(distance, frame.pixel))


def _cylinder(across: Plane) -> Plane:
    """Brightness of a polished cylinder across its width (-1 to 1), with two reflections."""
    window = np.exp(-(((across + 0.38) / 0.24) ** 2))
    second = np.exp(-(((across - 0.62) / 0.14) ** 2))
    tone: Plane = 0.52 + 0.55 * window + 0.25 * second - 0.22 * across * across
    return tone


def _thread_depth(y: Plane, fault: Fault) -> Plane:
    """Depth of the thread: 0 on the smooth shank, 1 on an intact thread, less where stripped."""
    depth = smooth(y, THREAD_TOP, THREAD_TOP + 0.04)
    if fault.name == "stripped":
        middle = between(fault.rng, 0.08, 0.58)
        length = between(fault.rng, 0.10, 0.16) * fault.strength
        depth = depth * (1 - 0.92 * smooth(np.abs(y - middle), length, length * 0.6))
    return depth


def _head(x: Plane, y: Plane, distance: Plane) -> Plane:
    """Brightness of the three visible faces of the head, with edges and chamfers."""
    face = np.where(x < -HEAD_HALF / 2, 0.86, np.where(x > HEAD_HALF / 2, 0.40, 0.64)).astype(np.float32)
    edge = np.exp(-(((np.abs(x) - HEAD_HALF / 2) / 0.012) ** 2)) * 0.22
    # The chamfer cuts each face with an arc.
    local = (x + HEAD_HALF) * (3 / (2 * HEAD_HALF))
    arc = (local - np.floor(local) - 0.5) ** 2 * 0.16
    ends = np.minimum(y - HEAD_TOP, HEAD_BOTTOM - y)
    chamfer = smooth(ends, arc + 0.028, arc + 0.018)
    return (
        face
        + edge
        + chamfer * (0.16 - 0.3 * (y > (HEAD_TOP + HEAD_BOTTOM) / 2))
        - 0.1 * smooth(distance, -0.012, 0.0)
    )


def _chip(frame: Frame, fault: Fault) -> Plane:
    """Signed distance to a chip at a corner of the head."""
    rng = fault.rng
    corner = (HEAD_HALF * (1 if rng.random() < 0.5 else -1), HEAD_TOP + between(rng, 0.0, 0.22))
    return bite(frame, rng, corner, between(rng, 0.06, 0.085) * fault.strength, 0.35)
