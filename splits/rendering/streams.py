"""Random streams named by their purpose, so that an image depends only on its own name."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *keys: str | int) -> np.random.Generator:
    """Random generator that depends only on the seed and the keys, not on order, process or hash seed."""
    words = [seed, *(zlib.crc32(str(key).encode()) for key in keys)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a uniform number from [low, high)."""
    return low + (high - low) * float(rng.random())
