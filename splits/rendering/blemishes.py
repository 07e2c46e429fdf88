"""Area defects drawn over a finished image: stain, hole, smear, spots, dent, warp."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ltbench.splits.rendering.canvas import Fault, Plane, Scene, rgb
from ltbench.splits.rendering.light import LIGHT_X, LIGHT_Y, smooth
from ltbench.splits.rendering.marks import Overlaid, Patch, laid, patch, place_on
from ltbench.splits.rendering.streams import between

INKS = ((0.34, 0.38, 0.72), (0.58, 0.36, 0.22), (0.36, 0.33, 0.30), (0.36, 0.52, 0.34), (0.70, 0.38, 0.46))


def _blob(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, rough: float
) -> tuple[Patch, Plane]:
    """Draw an irregular blob: its window and the signed distance to it in pixels."""
    reach = radius * (1 + 1.6 * rough) + 4
    window = patch(centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach)
    dx, dy = window.x - centre[0], window.y - centre[1]
    angle = np.arctan2(dy, dx)
    edge = np.full(dx.shape, radius, dtype=np.float32)
    for harmonic in (1, 2, 3, 5, 7):
        edge += (
            radius
            * rough
            / (harmonic**0.7)
            * between(rng, 0.3, 1)
            * np.cos(angle * harmonic + between(rng, 0, 2 * np.pi))
        )
    return window, np.hypot(dx, dy) - edge


def _mottle(rng: np.random.Generator, window: Patch, size: float) -> Plane:
    """Smooth Gaussian noise of unit variance in a window."""
    noise = ndimage.gaussian_filter(rng.standard_normal(window.x.shape, dtype=np.float32), size)
    mottle: Plane = noise / max(float(noise.std()), 1e-6)
    return mottle


def _contrasting(rng: np.random.Generator, piece: Plane) -> Plane:
    """Choose one of the three inks with the most contrast to the background, so that a stain is visible."""
    ground = piece.mean(axis=(1, 2), keepdims=True)
    by_contrast = sorted(
        INKS, key=lambda ink: -float(np.abs(rgb(ink) * (0.35 + 0.9 * ground) - ground).sum())
    )
    return rgb(by_contrast[int(rng.integers(3))])


def stain(scene: Scene, fault: Fault) -> Overlaid:
    """Draw a dried drop, tinted more strongly at its rim."""
    rng, strength = fault.rng, fault.strength
    window, distance = _blob(
        rng, place_on(scene, rng, 16), between(rng, 10, 17) * (0.7 + 0.3 * strength), 0.22
    )
    piece = scene.colour[:, *window.box]
    ink = _contrasting(rng, piece)
    body = smooth(distance, 1.5, -1.5)
    rim = np.exp(-(((distance + 1.5) / 1.8) ** 2))
    opacity = body * (0.50 + 0.10 * _mottle(rng, window, 3)) + 0.25 * rim
    opacity = np.clip(opacity * strength, 0, 0.9) * scene.object[window.box]
    # A tint rather than paint, so that dark areas remain darker.
    tinted = ink * (0.35 + 0.9 * piece)
    return laid(scene, window, piece + opacity * (tinted - piece), distance < 1.2)


def hole(scene: Scene, fault: Fault) -> Overlaid:
    """Draw a puncture, dark inside, lit on the far wall, with a frayed rim."""
    rng, strength = fault.rng, fault.strength
    centre = place_on(scene, rng, 14)
    radius = between(rng, 3.6, 6.4) * (0.5 + 0.5 * strength)
    window, distance = _blob(rng, centre, radius, 0.16)
    toward = ((window.x - centre[0]) * -LIGHT_X + (window.y - centre[1]) * -LIGHT_Y) / radius
    depth = smooth(distance, 0.6, -1.2)
    rim = np.exp(-(((distance - 1.2) / 1.3) ** 2))
    seen = scene.object[window.box]
    piece = scene.colour[:, *window.box]
    inside = (
        piece * (0.10 + 0.30 * max(1 - strength, 0)) + rgb((0.05, 0.045, 0.04)) + 0.05 * np.clip(toward, 0, 1)
    )
    piece = piece * (1 - rim * seen * (0.16 - 0.14 * np.clip(toward, -1, 1)) * strength)
    return laid(scene, window, piece + depth * seen * (inside - piece), distance < 2.2)


def smear(scene: Scene, fault: Fault) -> Overlaid:
    """Draw a greasy smear, which reduces contrast and adds a sheen."""
    rng, strength = fault.rng, fault.strength
    window, distance = _blob(
        rng, place_on(scene, rng, 20), between(rng, 15, 23) * (0.7 + 0.3 * strength), 0.25
    )
    piece = scene.colour[:, *window.box]
    blurred = np.stack([ndimage.gaussian_filter(plane, 2.6) for plane in piece])
    film = blurred * 0.92 + rgb((0.085, 0.080, 0.070)) * (1 + 0.5 * _mottle(rng, window, 2.5))
    opacity = smooth(distance, 1.5, -4.0) * (min(0.85 * strength, 0.95) * scene.object[window.box])
    return laid(scene, window, piece + opacity * (film - piece), distance < 0.0)


def spots(scene: Scene, fault: Fault) -> Overlaid:
    """Draw a cluster of corrosion spots."""
    rng, strength = fault.rng, fault.strength
    centre = place_on(scene, rng, 20)
    count = int(rng.integers(4, 8))
    window = patch(centre[0] - 28, centre[1] - 28, centre[0] + 28, centre[1] + 28)
    nearest = np.full(window.x.shape, 1e3, dtype=np.float32)
    for _ in range(count):
        x, y = centre[0] + between(rng, -1, 1) * 15, centre[1] + between(rng, -1, 1) * 15
        radius = between(rng, 1.3, 2.9) * (0.6 + 0.4 * strength)
        stretch = between(rng, 0.75, 1.3)
        nearest = np.minimum(nearest, np.hypot((window.x - x) * stretch, (window.y - y) / stretch) - radius)
    seen = scene.object[window.box]
    piece = scene.colour[:, *window.box]
    rust = rgb((0.36, 0.23, 0.14)) * (0.55 + 0.6 * piece)
    opacity = smooth(nearest, 1.0, -1.0) * np.float32(min(0.62 * strength, 0.9)) * seen
    halo = 0.12 * strength * np.exp(-((np.maximum(nearest, 0) / 1.6) ** 2)) * seen
    piece = piece * (1 - halo)
    return laid(scene, window, piece + opacity * (rust - piece), nearest < 1.0)


def dent(scene: Scene, fault: Fault) -> Overlaid:
    """Draw a shallow dent, shaded on one side and lit on the other."""
    rng, strength = fault.rng, fault.strength
    centre = place_on(scene, rng, 16)
    radius = between(rng, 8, 14) * (0.7 + 0.3 * strength)
    window, distance = _blob(rng, centre, radius, 0.18)
    inward = smooth(distance, 1.5, -radius * 0.55)
    slope = 4 * inward * (1 - inward)
    angle = np.arctan2(window.y - centre[1], window.x - centre[0])
    facing = np.cos(angle) * LIGHT_X + np.sin(angle) * LIGHT_Y
    light = -slope * facing * 0.30 * strength - 0.07 * strength * inward
    piece = scene.colour[:, *window.box]
    return laid(scene, window, piece * (1 + light * scene.object[window.box]), distance < 0.5)


def warp(scene: Scene, fault: Fault) -> Overlaid:
    """Displace and twist the pattern locally, without adding anything."""
    rng, strength = fault.rng, fault.strength
    centre = place_on(scene, rng, 40)
    radius = between(rng, 23, 31)
    window = patch(centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    dx, dy = window.x - centre[0], window.y - centre[1]
    inside = np.clip(1 - (dx * dx + dy * dy) / radius**2, 0, 1) ** 2
    side = 1 if rng.random() < 0.5 else -1
    twist = inside * np.float32(side * between(rng, 0.8, 1.2) * strength)
    pull_angle, pull = between(rng, 0, 2 * np.pi), between(rng, 3, 5) * strength
    cosine, sine = np.cos(twist), np.sin(twist)
    from_x = centre[0] + dx * cosine - dy * sine + inside * np.float32(pull * np.cos(pull_angle))
    from_y = centre[1] + dx * sine + dy * cosine + inside * np.float32(pull * np.sin(pull_angle))
    moved = [
        ndimage.map_coordinates(plane, [from_y, from_x], order=1, mode="nearest") for plane in scene.colour
    ]
    return laid(scene, window, np.stack(moved), inside > 0.02)
