"""Exact curve of pixel scores from one sort of all pixels, shared by the pixel metrics.

Only the anomalous pixels (a few per cent) are ordered together with their weights. All pixels are sorted as
plain values, and a binary search per distinct anomalous score counts the normal ones.
"""

from __future__ import annotations

import math

import numpy as np

from ltbench.benchmark.metrics.base import (
    Answer,
    Floats,
    MapSource,
    Scratch,
    Truth,
    Undefined,
    not_finite,
)
from ltbench.benchmark.metrics.blocks.curve import Curve, CurveInMemory, require_both
from ltbench.benchmark.metrics.blocks.positives import order_positives
from ltbench.benchmark.metrics.blocks.regions import Regions
from ltbench.benchmark.metrics.blocks.streaming import curve_of_stream


def pixel_curve(truth: Truth, answer: Answer) -> Curve:
    """Curve over the pixels of all images of a category, good ones included, computed once per prediction.

    Raises Undefined if a defective image has no mask, if maps are missing or of another size, if a value is
    not finite, or if all pixels are of one class.
    """
    return answer.once(truth, _pixel_curve)


def _pixel_curve(truth: Truth, answer: Answer) -> Curve:
    """Compute the curve in memory if the maps fit, else as a stream."""
    maps, masks = answer.require_maps(truth), truth.require_masks()
    if isinstance(masks, (np.ndarray, MapSource)) and (
        isinstance(maps, np.ndarray) or (isinstance(maps, MapSource) and _bytes(maps) <= answer.memory_bytes)
    ):
        return curve_of_maps(maps, truth.regions, answer.scratch)
    return curve_of_stream(maps, masks, check=truth.check_masks, memory_bytes=answer.memory_bytes)


def _bytes(maps: MapSource) -> int:
    """Size of the anomaly maps in bytes."""
    return math.prod(maps.shape) * maps.dtype.itemsize


def curve_of_maps(
    maps: Floats | MapSource, regions: Regions, scratch: Scratch | None = None
) -> CurveInMemory:
    """Compute the pixel curve in memory.

    Args:
        maps: (N, H, W) anomaly maps.
        regions: Anomalous pixels and regions of the masks.
        scratch: Reused buffer for the copy of the maps that is sorted.
    """
    pixels = (scratch or Scratch()).take(math.prod(maps.shape), maps.dtype)
    if isinstance(maps, np.ndarray):
        np.copyto(pixels, maps.reshape(-1))
    else:
        maps.fill(pixels.reshape(maps.shape))
    positives = order_positives(pixels[regions.index], regions.weight)
    pixels.sort()
    # NaN sorts last, infinities to both ends.
    if pixels.size and not (np.isfinite(pixels[0]) and np.isfinite(pixels[-1])):
        raise Undefined(not_finite("maps", np.asarray(maps)))
    below = np.searchsorted(pixels, positives.threshold, "left")
    # The score is shared by normal pixels if more pixels after `below` have it than anomalous ones.
    not_above = below + positives.count
    more = np.flatnonzero(pixels[np.minimum(not_above, pixels.size - 1)] == positives.threshold)
    not_above[more] = np.searchsorted(pixels, positives.threshold[more], "right")
    piece = positives.piece(pixels.size - below, pixels.size - not_above, len(regions.size))
    curve = CurveInMemory(piece, len(regions.index), pixels.size - len(regions.index))
    require_both(curve, "anomalous pixel", "normal pixel")
    return curve
