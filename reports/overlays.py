"""Pictures of the gallery: mask outlines and anomaly maps over images, made from stored patch score grids."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from ltbench.results.places import Place

Pixels = npt.NDArray[np.uint8]
Maps = npt.NDArray[np.float32]

SIDE = 192
"""Pixels of a picture in the gallery."""
_QUALITY = 72
_STRONGEST = 0.72
"""Opacity of the highest score."""


def _ramp() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Colour ramp of 256 levels: share of the image that remains, and the colour times its opacity."""
    # Lightness rises all the way, so that the ramp reads without hue too.
    stops = np.array(
        [(20, 11, 60), (110, 25, 110), (188, 55, 84), (237, 105, 37), (251, 180, 30), (252, 255, 164)]
    )
    level = np.linspace(0, 1, 256)
    colours = np.stack(
        [np.interp(level, np.linspace(0, 1, len(stops)), stops[:, c]) for c in range(3)], axis=1
    )
    opacity = (0.15 + (_STRONGEST - 0.15) * level)[:, None]
    return 1 - opacity, colours * opacity


_CLEAR, _COLOURS = _ramp()


@dataclass(frozen=True)
class Outline:
    """Two lines around a defect: one of them is visible on any ground."""

    light: npt.NDArray[np.bool_]
    dark: npt.NDArray[np.bool_]


def anomaly_maps(
    grids: Maps,
    side: int,
    sigma: float,
    upsample: str,
    *,
    border: str = "mirror",
    radius: int | None = None,
) -> Maps:
    """(N, h, w) patch scores -> (N, side, side): interpolation, then a Gaussian of `sigma` pixels.

    As in the evaluation, whose step over a map in between (`via`) no eye would see. `upsample` is "bilinear"
    (align_corners=False), "bilinear_corners" or "nearest"; `border` and `radius` are those of `MapPost`. Both
    steps are linear and separable, so that a map is A X B^T.
    """
    smoothing = {"sigma": sigma, "mode": "constant" if border == "zero" else "reflect", "radius": radius}
    down = _smoothing(grids.shape[1], side, upsample, smoothing)
    across = _smoothing(grids.shape[2], side, upsample, smoothing)
    maps: Maps = (down @ grids.astype(np.float64) @ across.T).astype(np.float32)
    return maps


def _smoothing(cells: int, side: int, upsample: str, smoothing: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """(side, cells) what interpolation and smoothing do to a line."""
    target = np.arange(side)
    if upsample == "nearest":
        position = (target * cells // side).astype(np.float64)
    elif upsample == "bilinear_corners":
        position = target * (cells - 1) / max(side - 1, 1)
    else:
        position = np.clip((target + 0.5) * cells / side - 0.5, 0, cells - 1)
    # The weight of a cell falls to zero over the distance of one cell.
    matrix: npt.NDArray[np.float64] = np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(cells)))
    if smoothing["sigma"] <= 0 or smoothing["radius"] == 0:
        return matrix
    smoothed: npt.NDArray[np.float64] = ndimage.gaussian_filter1d(matrix, axis=0, **smoothing)
    return smoothed


def maps_of(grids: Maps, size: int, post: Mapping[str, Any] | None) -> Maps:
    """Maps at the gallery's side, by the record's rule for pictures of `size` pixels; else unsmoothed."""
    post = post or {}
    sigma = float(post.get("sigma", 0.0)) * SIDE / size
    radius = post.get("radius")
    return anomaly_maps(
        grids,
        SIDE,
        sigma,
        str(post.get("upsample", "bilinear")),
        border=str(post.get("border", "mirror")),
        radius=None if radius is None else round(int(radius) * SIDE / size),
    )


def scale(maps: Maps) -> tuple[float, float]:
    """(low, high) shared by all pictures of one method and category: median and maximum of all their pixels.

    One scale per picture would paint the noise of a good image as bright as a defect.
    """
    low, high = float(np.median(maps)), float(maps.max())
    return low, high if high > low else low + 1.0


def overlay(picture: Pixels, scores: Maps, low: float, high: float, outline: Outline | None) -> bytes:
    """JPEG of an image with its (side, side) map as overlay; the true defect is outlined."""
    return _jpeg(_outlined(painted(picture, scores, low, high), outline))


def painted(picture: Pixels, scores: Maps, low: float, high: float) -> Pixels:
    """Grey image with its coloured map, both of one size; `low` and `high` are the ends of the scale."""
    level = (np.clip((scores - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    # Grey below: the colours are the map's alone.
    grey = picture.mean(axis=2, keepdims=True)
    found: Pixels = (grey * _CLEAR[level] + _COLOURS[level]).astype(np.uint8)
    return found


def plain(picture: Pixels, outline: Outline | None) -> bytes:
    """JPEG of an image with its defect outlined."""
    return _jpeg(_outlined(picture, outline))


def read_picture(path: Place) -> Pixels:
    """(SIDE, SIDE, 3) of the gallery's JPEG."""
    with path.open("rb") as file, Image.open(file) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def read_outline(path: Place) -> Outline | None:
    """Lines just outside the mask; None without a mask."""
    if not path.exists():
        return None
    with path.open("rb") as file, Image.open(file) as image:
        inside = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)) > 127
    near = ndimage.binary_dilation(inside, iterations=2)
    return Outline(light=near & ~inside, dark=ndimage.binary_dilation(near) & ~near)


def picture_size(path: Place) -> int:
    """Side of the stored picture, in which the smoothing is counted."""
    with path.open("rb") as file, Image.open(file) as image:
        return max(image.size)


def _outlined(picture: Pixels, outline: Outline | None) -> Pixels:
    if outline is None:
        return picture
    drawn = picture.copy()
    drawn[outline.light] = 255
    drawn[outline.dark] = 0
    return drawn


def _jpeg(picture: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()
