"""Synthetic defects by Poisson blending of patches from other images (Natural Synthetic Anomalies)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import fft
from torch.nn import functional

from ltbench.splits.images import Pixels

GAMMA_SHAPE, GAMMA_SCALE, GAMMA_LEFT = 2.0, 0.05, 0.03
"""Half a patch's side as a share of the image's is drawn as 0.03 + Gamma(2, 0.05)."""
SMALLEST, LARGEST = 0.03, 0.4
"""Bounds of half a patch's side before resizing, and of its side afterwards, as shares of the image's."""
RESIZED = 0.5, 2.0
"""Bounds of the factor, drawn from N(1, 0.5), by which a patch is resized."""
RING = 3
"""Width in pixels of the patch border that keeps the target's gradients, as in OpenCV's seamless cloning."""
_LEAST_AREA = 50
_CHANGED = 1.0
_SQUARE = torch.ones(5, 5)
_DISK = torch.from_numpy(np.hypot(*np.mgrid[-5:6, -5:6]) <= 5).to(torch.float32)


@dataclass(frozen=True)
class Blended:
    """Image with patches of another image blended in."""

    pixels: Pixels
    """(H, W, 3)."""
    mask: npt.NDArray[np.bool_]
    """(H, W), true where the image differs visibly from the original."""


def with_foreign_patches(
    target: Pixels, source: Pixels, rng: np.random.Generator, *, patches: int, least_change: float
) -> Blended:
    """Blend up to `patches` rectangles of `source` into `target`, at random sizes and positions.

    The method of Schlüter et al. (ECCV 2022) with the constants of AnomalyGPT's code for VisA. The first
    patch is always tried, each further one with probability one half.

    Args:
        target: (H, W, 3) image that receives the patches.
        source: (H, W, 3) image of the same size that the patches are cut from.
        rng: Source of all random numbers.
        patches: Largest number of patches.
        least_change: Change in grey levels (of 255, averaged over the channels) above which a pixel counts as
            anomalous, if most pixels within a radius of five pixels also do.

    Returns:
        The blended image and the mask of its anomalous pixels.
    """
    blended = target.copy()
    covered = np.zeros(target.shape[:2], np.bool_)
    for number in range(patches):
        if number > 0 and rng.integers(2) == 0:
            continue
        patch = _resized_patch(source, rng)
        rows, columns = patch.shape[:2]
        top = int(rng.integers(rows // 2 + 1, len(target) - rows // 2 - 1)) - rows // 2
        left = int(rng.integers(columns // 2 + 1, target.shape[1] - columns // 2 - 1)) - columns // 2
        if (rows - 2) * (columns - 2) < _LEAST_AREA:
            continue
        # OpenCV puts the middle of an odd number of columns one pixel further right.
        first = left + 1 + columns % 2
        place = slice(top + 1, top + rows - 1), slice(first, first + columns - 2)
        blended[place] = np.clip(seamless(patch[1:-1, 1:-1], blended[place]), 0, 255).astype(np.uint8)
        covered[top : top + rows, left : left + columns] = True
    change = np.abs(blended.astype(np.float64) - target).mean(axis=2)
    changed = _most(covered & (change > _CHANGED), _SQUARE)
    return Blended(blended, changed & _most(changed & (change > least_change), _DISK))


def seamless(patch: npt.NDArray[np.generic], region: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Blend `patch` over `region` without a visible edge, both (h, w, 3): float64 of the same shape.

    Poisson blending (Pérez et al., SIGGRAPH 2003): the result has the gradients of `patch` and the border
    values of `region`. On a rectangle, discrete sine transforms solve the Poisson equation exactly. The
    outermost `RING` pixels keep the gradients of `region`.
    """
    blended = region.astype(np.float64)
    difference = patch.astype(np.float64) - blended
    inside, steps = slice(RING, -RING), slice(RING, 1 - RING)
    across, down = np.zeros_like(difference[:, 1:]), np.zeros_like(difference[1:])
    across[inside, steps] = np.diff(difference, axis=1)[inside, steps]
    down[steps, inside] = np.diff(difference, axis=0)[steps, inside]
    wanted = np.diff(across, axis=1)[1:-1] + np.diff(down, axis=0)[:, 1:-1]
    rows, columns = wanted.shape[:2]
    vertical = 2 - 2 * np.cos(np.pi * np.arange(1, rows + 1) / (rows + 1))
    horizontal = 2 - 2 * np.cos(np.pi * np.arange(1, columns + 1) / (columns + 1))
    waves = fft.dstn(-wanted, type=1, axes=(0, 1)) / (vertical[:, None] + horizontal)[..., None]
    blended[1:-1, 1:-1] += fft.idstn(waves, type=1, axes=(0, 1))
    return blended


def _resized_patch(source: Pixels, rng: np.random.Generator) -> Pixels:
    """Cut a random rectangle, clipped at the image border, and resize it by a random factor."""
    sides = source.shape[:2]
    bounds = [(max(1, round(SMALLEST * side)), max(1, round(LARGEST * side))) for side in sides]
    halves = [
        int(np.clip((GAMMA_LEFT + rng.gamma(GAMMA_SHAPE, GAMMA_SCALE)) * side, *bound))
        for side, bound in zip(sides, bounds, strict=True)
    ]
    middles = [int(rng.integers(low, side - low)) for side, (low, _) in zip(sides, bounds, strict=True)]
    rows, columns = (
        slice(max(middle - half, 0), min(middle + half, side))
        for middle, half, side in zip(middles, halves, sides, strict=True)
    )
    patch = source[rows, columns]
    height, width = patch.shape[:2]
    wanted = np.clip(np.clip(rng.normal(1, 0.5), *RESIZED) * height, *bounds[0])
    new_width = int(np.clip(int(wanted / height * width), *bounds[1]))
    new_height = int(np.clip(int(new_width / width * height), *bounds[0]))
    pixels = torch.from_numpy(patch.astype(np.float32)).permute(2, 0, 1)[None]
    resized = functional.interpolate(pixels, size=(new_height, new_width), mode="bilinear")
    resized_patch: Pixels = resized[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
    return resized_patch


def _most(flags: npt.NDArray[np.bool_], footprint: torch.Tensor) -> npt.NDArray[np.bool_]:
    """Median-filter boolean flags (H, W): true where most flags of the footprint around a pixel are true."""
    reach = len(footprint) // 2
    padded = functional.pad(torch.from_numpy(flags)[None, None].float(), (reach,) * 4, mode="replicate")
    count = functional.conv2d(padded, footprint[None, None])[0, 0]
    most: npt.NDArray[np.bool_] = (count > footprint.sum() / 2).numpy()
    return most
