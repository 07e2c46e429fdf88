"""Random streams named by what they are for, so that a picture depends on its own name alone."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *keys: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the keys, never on order, count, process or hash seed."""
    words = [seed, *(zlib.crc32(str(key).encode()) for key in keys)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """One uniform draw from [low, high)."""
    return low + (high - low) * float(rng.random())
