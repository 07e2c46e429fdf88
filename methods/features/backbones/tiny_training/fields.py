"""Grey fields in [0, 1] made by formula: noise spectra, weaves, cells and lattices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

Field = npt.NDArray[np.float32]
"""float32 (size, size)."""


def power_law(rng: np.random.Generator, size: int) -> Field:
    """Noise whose amplitude falls as a power of the frequency (0.6 to 2.2): clouds to sand."""
    radius = _radius(size)
    return _from_spectrum(rng, size, np.maximum(radius, 1) ** -rng.uniform(0.6, 2.2))


def band_pass(rng: np.random.Generator, size: int) -> Field:
    """Noise of one scale and, at times, one direction: grain, fibres, ripples; at times cut at a level."""
    centre = size / np.exp(rng.uniform(np.log(4), np.log(40)))
    amplitude = np.exp(-(((_radius(size) - centre) / (centre * rng.uniform(0.1, 0.5))) ** 2))
    if rng.random() < 0.5:
        down, across = _frequencies(size)
        turned = np.arctan2(down, across) - rng.uniform(0, np.pi)
        amplitude = amplitude * np.exp(rng.uniform(2, 12) * (np.cos(turned) ** 2 - 1))
    field = _from_spectrum(rng, size, amplitude)
    return _cut(rng, field) if rng.random() < 0.4 else field


def plaid(rng: np.random.Generator, size: int) -> Field:
    """One or two periodic stripe profiles at an angle to each other, bent by a smooth warp."""
    down, across = _warped_grid(rng, size)
    angle = rng.uniform(0, np.pi)
    field = np.ones((size, size))
    for turn in (0.0, rng.choice([np.pi / 2, np.pi / 3, rng.uniform(0.3, 2.8)]))[: 1 + (rng.random() < 0.7)]:
        along = across * np.cos(angle + turn) + down * np.sin(angle + turn)
        phase = along / rng.uniform(5, 32) + rng.random()
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * phase)
        field = field * _contrast(wave, rng.uniform(1, 8)) if rng.random() < 0.5 else (field + wave) / 2
    return _stretched(field)


def cells(rng: np.random.Generator, size: int) -> Field:
    """Voronoi cells of random or jittered points: their walls, domes or grey levels."""
    count = int(np.exp(rng.uniform(np.log(12), np.log(500))))
    points = rng.uniform(-0.1, 1.1, (count, 2)) * size
    if rng.random() < 0.4:
        side = max(3, int(np.sqrt(count)))
        lattice = np.stack(np.meshgrid(*2 * [np.arange(-1, side + 1) + 0.5], indexing="ij"), -1).reshape(
            -1, 2
        )
        points = (lattice + rng.normal(0, rng.uniform(0.02, 0.25), lattice.shape)) * size / side
    down, across = _warped_grid(rng, size)
    distance, nearest = cKDTree(points).query(np.stack([down, across], -1).reshape(-1, 2), k=2)
    kind = rng.integers(3)
    if kind == 0:
        values = np.minimum((distance[:, 1] - distance[:, 0]) / rng.uniform(1, 6), 1)
    elif kind == 1:
        values = distance[:, 0]
    else:
        values = rng.random(len(points))[nearest[:, 0]]
    return _stretched(values.reshape(size, size))


def lattice(rng: np.random.Generator, size: int) -> Field:
    """A random glyph of discs, bars and rings repeated on a lattice, at times shifted, turned or left out."""
    pitch = int(rng.uniform(12, 48))
    glyph = _glyph(rng, pitch)
    turn = rng.random() < 0.3
    skew = rng.choice([0.0, 0.5, rng.random()])
    rows = []
    for row in range(size // pitch + 3):
        tiles = []
        for _ in range(size // pitch + 3):
            tile = np.rot90(glyph, rng.integers(4)) if turn else glyph
            tiles.append(tile * (rng.random() > 0.03))
        rows.append(np.roll(np.concatenate(tiles, 1), int(row * skew * pitch), axis=1))
    sheet = np.concatenate(rows, 0)
    down, across = _warped_grid(rng, size)
    angle = rng.normal(0, 0.3)
    middle = sheet.shape[0] / 2
    down, across = down - size / 2, across - size / 2
    turned = [
        middle + down * np.cos(angle) + across * np.sin(angle),
        middle - down * np.sin(angle) + across * np.cos(angle),
    ]
    return _stretched(ndimage.map_coordinates(sheet, turned, order=1, mode="wrap"))


FIELDS: tuple[Callable[[np.random.Generator, int], Field], ...] = (
    power_law,
    band_pass,
    plaid,
    cells,
    lattice,
)


def smooth(rng: np.random.Generator, size: int, scale: float) -> Field:
    """Gaussian-filtered noise with structures of about `scale` pixels."""
    return _from_spectrum(rng, size, np.exp(-((_radius(size) * scale / size) ** 2)))


def _glyph(rng: np.random.Generator, pitch: int) -> Field:
    down, across = np.mgrid[0:pitch, 0:pitch] / pitch - 0.5
    glyph = np.zeros((pitch, pitch), np.float32)
    for _ in range(rng.integers(1, 5)):
        y, x = rng.uniform(-0.3, 0.3, 2)
        angle = rng.uniform(0, np.pi)
        along = (across - x) * np.cos(angle) + (down - y) * np.sin(angle)
        beside = (down - y) * np.cos(angle) - (across - x) * np.sin(angle)
        length, width = rng.uniform(0.1, 0.45), rng.uniform(0.03, 0.15)
        kind = rng.integers(3)
        if kind == 0:
            outside = np.hypot(along, beside) - width * 1.5
        elif kind == 1:
            outside = np.maximum(np.abs(along) - length, np.abs(beside) - width)
        else:
            outside = np.abs(np.hypot(along, beside) - length / 2) - width / 2
        glyph = np.maximum(glyph, np.clip(0.5 - outside * pitch, 0, 1) * rng.uniform(0.4, 1))
    return glyph.astype(np.float32)


def _frequencies(size: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.fft.fftfreq(size)[:, None] * size, np.fft.rfftfreq(size)[None, :] * size


def _radius(size: int) -> npt.NDArray[np.float64]:
    """Cycles per picture of each coefficient of `rfft2`."""
    down, across = _frequencies(size)
    return np.hypot(down, across)


def _from_spectrum(rng: np.random.Generator, size: int, amplitude: npt.NDArray[np.float64]) -> Field:
    noise = np.fft.rfft2(rng.standard_normal((size, size)))
    noise[0, 0] = 0
    return _stretched(np.fft.irfft2(noise * amplitude, s=(size, size)))


def _warped_grid(
    rng: np.random.Generator, size: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    down, across = np.mgrid[0:size, 0:size].astype(np.float64)
    if rng.random() < 0.6:
        strength, scale = rng.uniform(0, 14), rng.uniform(30, 120)
        down += strength * (smooth(rng, size, scale) - 0.5)
        across += strength * (smooth(rng, size, scale) - 0.5)
    return down, across


def _cut(rng: np.random.Generator, field: Field) -> Field:
    return _contrast(field - rng.uniform(-0.15, 0.15), rng.uniform(4, 20)).astype(np.float32)


def _contrast(field: npt.NDArray[np.floating], steepness: float) -> npt.NDArray[np.floating]:
    return 1 / (1 + np.exp(-steepness * (field - 0.5) * 2))


def _stretched(field: npt.NDArray[np.floating]) -> Field:
    """Spread over [0, 1], ignoring one per cent at either end."""
    low, high = np.quantile(field[::2, ::2], (0.01, 0.99))
    return np.clip((field - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
