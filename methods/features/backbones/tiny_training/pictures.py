"""Formula-driven pictures: coloured fields, dead leaves, and composites of them. No photograph is used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltbench.methods.features.backbones.tiny_training import fields

Picture = npt.NDArray[np.float32]
"""float32 (size, size, 3) in [0, 1], RGB."""


def pictures(count: int, size: int, seed: int) -> npt.NDArray[np.uint8]:
    """`count` pictures, uint8 (count, 3, size, size); each a function of (seed, its number) alone."""
    made = np.empty((count, 3, size, size), np.uint8)
    for number in range(count):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))
        made[number] = np.round(picture(rng, size) * 255).astype(np.uint8).transpose(2, 0, 1)
    return made


def picture(rng: np.random.Generator, size: int) -> Picture:
    """One picture: a plain one, or a composite of two."""
    kind = rng.random()
    if kind < 0.45:
        return plain(rng, size)
    below, above = plain(rng, size), plain(rng, size)
    if kind < 0.7:
        share = rng.uniform(0.2, 0.8)
        mixed = below * above * 1.6 if rng.random() < 0.4 else share * below + (1 - share) * above
        return np.clip(mixed, 0, 1).astype(np.float32)
    mask = shapes_mask(rng, size) if kind < 0.88 else (fields.smooth(rng, size, rng.uniform(25, 80)) > 0.5)
    return np.where(mask[..., None], above, below).astype(np.float32)


def plain(rng: np.random.Generator, size: int) -> Picture:
    """Dead leaves, or a coloured field under uneven light."""
    if rng.random() < 0.22:
        return dead_leaves(rng, size)
    field = fields.FIELDS[rng.integers(len(fields.FIELDS))](rng, size)
    coloured = colours(rng, field)
    if rng.random() < 0.4:
        coloured = coloured * (0.6 + 0.8 * fields.smooth(rng, size, rng.uniform(40, 150))[..., None])
    return np.clip(coloured, 0, 1).astype(np.float32)


def colours(rng: np.random.Generator, field: fields.Field) -> Picture:
    """A field through a random palette of two to four colours."""
    stops = int(rng.integers(2, 5))
    palette = palette_of(rng, stops)
    positions = np.linspace(0, 1, stops)
    return np.stack([np.interp(field, positions, palette[:, c]) for c in range(3)], -1).astype(np.float32)


def palette_of(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """(count, 3) colours around one hue, of random spread; a third of the palettes are grey."""
    spread = rng.uniform(0.05, 0.35)
    centre = rng.uniform(0.15, 0.85, 3)
    palette = centre + rng.normal(0, spread, (count, 1)) + rng.normal(0, spread * rng.random(), (count, 3))
    if rng.random() < 0.33:
        palette = np.repeat(palette.mean(axis=1, keepdims=True), 3, axis=1)
    return np.clip(palette, 0, 1)


def dead_leaves(rng: np.random.Generator, size: int) -> Picture:
    """Discs, boxes and ellipses falling on one another, sizes by a power law; flat or textured leaves."""
    sheet = np.empty((size, size, 3), np.float32)
    palette = palette_of(rng, 24)
    sheet[:] = palette[0]
    texture = fields.FIELDS[rng.integers(len(fields.FIELDS))](rng, size) - 0.5
    depth = rng.uniform(0, 0.6) * (rng.random() < 0.6)
    smallest, largest = rng.uniform(3, 8), rng.uniform(20, 70)
    kind = rng.integers(4)
    for _ in range(int(rng.uniform(60, 350))):
        # Density of radius^-3: every scale covers about the same area.
        radius = (smallest**-2 + rng.random() * (largest**-2 - smallest**-2)) ** -0.5
        y, x = rng.uniform(-0.1, 1.1, 2) * size
        top, left = max(int(y - radius), 0), max(int(x - radius), 0)
        bottom, right = min(int(y + radius) + 1, size), min(int(x + radius) + 1, size)
        if top >= bottom or left >= right:
            continue
        down, across = np.mgrid[top:bottom, left:right]
        inside = leaf(rng, down - y, across - x, radius, int(kind))
        tone = palette[rng.integers(24)] + depth * texture[top:bottom, left:right, None]
        window = sheet[top:bottom, left:right]
        window[inside] = np.broadcast_to(tone, window.shape)[inside]
    return np.clip(sheet, 0, 1)


def leaf(
    rng: np.random.Generator,
    down: npt.NDArray[np.float64],
    across: npt.NDArray[np.float64],
    radius: float,
    kind: int,
) -> npt.NDArray[np.bool_]:
    """Where a leaf lies: disc, ellipse, box, or (kind 3) any of them. `down` and `across` count from its
    middle."""
    if kind == 3:
        kind = int(rng.integers(3))
    if kind == 0:
        return down**2 + across**2 <= radius**2
    angle, slim = rng.uniform(0, np.pi), rng.uniform(0.15, 1)
    along = across * np.cos(angle) + down * np.sin(angle)
    beside = (down * np.cos(angle) - across * np.sin(angle)) / slim
    if kind == 1:
        return along**2 + beside**2 <= radius**2
    return np.maximum(np.abs(along), np.abs(beside)) <= radius * 0.7


def shapes_mask(rng: np.random.Generator, size: int) -> npt.NDArray[np.bool_]:
    """bool (size, size): the outline of an object, made of a few large shapes added and cut away."""
    mask = np.zeros((size, size), np.bool_)
    for part in range(int(rng.integers(1, 6))):
        y, x = rng.uniform(0.25, 0.75, 2) * size
        down, across = np.mgrid[0:size, 0:size]
        shape = leaf(rng, down - y, across - x, rng.uniform(0.08, 0.45) * size, 3)
        mask = mask & ~shape if part and rng.random() < 0.35 else mask | shape
    return mask
