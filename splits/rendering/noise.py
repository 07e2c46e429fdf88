"""Random fields: clouds with a given spectrum, streaks, and cells."""

from __future__ import annotations

from functools import cache

import numpy as np

from ltbench.splits.rendering.canvas import SIZE, Plane


@cache
def _frequencies() -> tuple[Plane, Plane]:
    """Frequencies, in cycles per image, along x and y of a real spectrum; read-only."""
    along = np.arange(SIZE // 2 + 1, dtype=np.float32)[None, :]
    down = np.fft.fftfreq(SIZE, 1 / SIZE).astype(np.float32)[:, None]
    for axis in (along, down):
        axis.setflags(write=False)
    return along, down


@cache
def _power_law(slope: float, lowest: float, highest: float) -> Plane:
    """Amplitude spectrum (H, W / 2 + 1) of clouds, without a mean."""
    along, down = _frequencies()
    radius = np.sqrt(along**2 + down**2)
    amplitude = np.maximum(radius, 1) ** -slope * (radius >= lowest) * np.exp(-((radius / highest) ** 2))
    amplitude[0, 0] = 0
    amplitude = amplitude.astype(np.float32)
    amplitude.setflags(write=False)
    return amplitude


def _field(rng: np.random.Generator, amplitude: Plane) -> Plane:
    """Draw a field (H, W) of zero mean and unit variance with an amplitude spectrum (H, W / 2 + 1)."""
    parts = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    spectrum = (parts[0] + 1j * parts[1]) * amplitude
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE)).astype(np.float32, copy=False)
    return field / max(float(field.std()), 1e-9)


def clouds(rng: np.random.Generator, slope: float = 1.0, *, lowest: float = 1, highest: float = 1e6) -> Plane:
    """Draw clouds (H, W) of zero mean and unit variance with amplitudes ~ frequency^-slope.

    Args:
        rng: Random numbers.
        slope: Exponent of the spectrum.
        lowest: Lowest frequency in cycles per image.
        highest: Soft upper limit of the frequency.
    """
    return _field(rng, _power_law(slope, lowest, highest))


def streaks(
    rng: np.random.Generator, length: float, width: float, turn: float = 0.0, *, slope: float = 0.3
) -> Plane:
    """Draw streaks (H, W) of zero mean and unit variance.

    Args:
        rng: Random numbers.
        length: Approximate length of the lines in pixels.
        width: Approximate width of the lines in pixels.
        turn: Direction of the lines in rad.
        slope: Exponent of the spectrum across the lines.
    """
    along, down = _frequencies()
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = (along * cosine + down * sine) * np.float32(length / SIZE)
    v = np.abs(down * cosine - along * sine)
    amplitude = np.exp(-(u * u)) * np.exp(-((v * np.float32(width / SIZE)) ** 2))
    amplitude *= np.maximum(v, 1) ** np.float32(-slope)
    amplitude[0, 0] = 0
    return _field(rng, amplitude)


def cells(rng: np.random.Generator, u: Plane, v: Plane) -> tuple[Plane, Plane, np.ndarray]:
    """Draw cells around one random point per unit square (Worley noise).

    Points repeat after `LATTICE` units. Second nearest points more than one square away can be missed, which
    only affects pixels far from the borders of cells.

    Args:
        rng: Random numbers.
        u: (H, W) first coordinate of each pixel.
        v: (H, W) second coordinate of each pixel.

    Returns:
        Distances to the nearest and second nearest point, and the index of the nearest, below LATTICE^2.
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
"""Number of squares after which the points of `cells` repeat, more than fit on an image."""
