"""Random fields: clouds with a chosen spectrum, streaks, and cells."""

from __future__ import annotations

from functools import cache

import numpy as np

from ltbench.splits.rendering.canvas import SIZE, Plane


@cache
def _frequencies() -> tuple[Plane, Plane]:
    """Cycles per picture along x and y of a real spectrum; read-only."""
    along = np.arange(SIZE // 2 + 1, dtype=np.float32)[None, :]
    down = np.fft.fftfreq(SIZE, 1 / SIZE).astype(np.float32)[:, None]
    for axis in (along, down):
        axis.setflags(write=False)
    return along, down


@cache
def _power_law(slope: float, lowest: float, highest: float) -> Plane:
    along, down = _frequencies()
    radius = np.sqrt(along**2 + down**2)
    amplitude = np.maximum(radius, 1) ** -slope * (radius >= lowest) * np.exp(-((radius / highest) ** 2))
    amplitude[0, 0] = 0
    amplitude = amplitude.astype(np.float32)
    amplitude.setflags(write=False)
    return amplitude


def _field(rng: np.random.Generator, amplitude: Plane) -> Plane:
    """(H, W), zero mean and unit variance, with this amplitude spectrum (H, W / 2 + 1)."""
    parts = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    spectrum = (parts[0] + 1j * parts[1]) * amplitude
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE)).astype(np.float32, copy=False)
    return field / max(float(field.std()), 1e-9)


def clouds(rng: np.random.Generator, slope: float = 1.0, *, lowest: float = 1, highest: float = 1e6) -> Plane:
    """(H, W), zero mean, unit variance: amplitude ~ frequency^-slope between two frequencies.

    Frequencies are cycles per picture; `highest` is a soft limit.
    """
    return _field(rng, _power_law(slope, lowest, highest))


def streaks(
    rng: np.random.Generator, length: float, width: float, turn: float = 0.0, *, slope: float = 0.3
) -> Plane:
    """(H, W), zero mean, unit variance: lines of about this length and width in pixels, at `turn` rad."""
    along, down = _frequencies()
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = (along * cosine + down * sine) * np.float32(length / SIZE)
    v = np.abs(down * cosine - along * sine)
    amplitude = np.exp(-(u * u)) * np.exp(-((v * np.float32(width / SIZE)) ** 2))
    amplitude *= np.maximum(v, 1) ** np.float32(-slope)
    amplitude[0, 0] = 0
    return _field(rng, amplitude)


def cells(rng: np.random.Generator, u: Plane, v: Plane) -> tuple[Plane, Plane, np.ndarray]:
    """Cells around one random point per unit square: (nearest, second nearest distance, index of the cell).

    The points repeat after `LATTICE` units; the index is below LATTICE^2. A second point two squares away is
    missed now and then, far from where the cells' borders are drawn.
    """
    jitter = rng.random((2, LATTICE * LATTICE), dtype=np.float32) * 0.8 + 0.1
    column, row = np.floor(u), np.floor(v)
    inside_u, inside_v = u - column, v - row
    column_index, row_index = column.astype(np.intp), row.astype(np.intp)
    first = np.full(u.shape, 9, dtype=np.float32)
    second = first.copy()
    index = np.zeros(u.shape, dtype=np.intp)
    for step_v in (-1, 0, 1):
        line = ((row_index + step_v) % LATTICE) * LATTICE
        for step_u in (-1, 0, 1):
            here = line + (column_index + step_u) % LATTICE
            across = jitter[0].take(here)
            across += step_u
            across -= inside_u
            down = jitter[1].take(here)
            down += step_v
            down -= inside_v
            square = across * across
            square += down * down
            second = np.minimum(second, np.maximum(first, square))
            np.copyto(index, here, where=square < first)
            first = np.minimum(first, square)
    return np.sqrt(first), np.sqrt(second), index


LATTICE = 64
"""Squares after which the points of `cells` repeat; more than fit on a picture."""
