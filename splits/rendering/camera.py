"""Camera model: exposure, uneven light, white balance, blur and noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ltbench.splits.rendering.canvas import SIZE, Plane, grid
from ltbench.splits.rendering.streams import between


def photograph(colour: Plane, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Photograph a scene float32 (3, H, W) as an image uint8 (H, W, 3).

    Gain +-10 %, a gradient of up to 12 % in a random direction, white balance 1.2 %, Gaussian blur of
    sigma 0.25-0.85 pixels, Gaussian noise of sigma 0.012 * U(0.6, 1.4).
    """
    gain = between(rng, 0.9, 1.1)
    slope, angle = between(rng, 0, 0.12), between(rng, 0, 2 * np.pi)
    balance = 1 + (rng.random((3, 1, 1), dtype=np.float32) * 2 - 1) * np.float32(0.012)
    blur = between(rng, 0.25, 0.85)
    noise = 0.012 * between(rng, 0.6, 1.4)
    x, y = grid()
    light = gain + slope / 2 * (x * float(np.cos(angle)) + y * float(np.sin(angle)))
    seen = np.clip(colour, 0, 1) * (light * balance)
    taps = np.exp(-0.5 * (np.arange(-2, 3) / blur) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (1, 2):
        seen = ndimage.correlate1d(seen, taps, axis=axis, mode="nearest")
    seen += rng.standard_normal((3, SIZE, SIZE), dtype=np.float32) * np.float32(noise)
    levels = np.clip(seen * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))
