"""The exact curve of pixel scores in one pass: one sort of all pixels, whatever is asked afterwards.

Only the anomalous pixels (a few per cent) are put in order together with their weights. All pixels are sorted
as bare values, and a binary search per distinct anomalous score counts the rest. Every pixel metric follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.metrics.base import Answer, Floats, Scratch, Truth, Undefined, not_finite
from benchmark.metrics.curve import Counts, Curve, area_under_overlap, require_both
from benchmark.metrics.regions import Regions


@dataclass(frozen=True, eq=False)
class PixelCurve(Curve):
    """Curve over pixels that also knows how much of the anomalous regions is covered."""

    overlap: npt.NDArray[np.float64]
    """(m,) mean over regions of the share of the region's pixels ≥ threshold."""

    def aupro(self, limit: float) -> float:
        """Area under `overlap` over the false positive rate up to `limit`, over `limit`."""
        return area_under_overlap(self, self.overlap, limit)


@dataclass(frozen=True, eq=False)
class Positives:
    """The anomalous pixels' distinct scores, rising, with what lies at or above each."""

    threshold: Floats
    """(m,), strictly rising."""
    count: Counts
    """(m,) anomalous pixels with exactly this score."""
    hits: Counts
    """(m,) anomalous pixels ≥ threshold."""
    covered: npt.NDArray[np.float64]
    """(m,) summed weight of the anomalous pixels ≥ threshold; the lowest one's is the number of regions."""


def pixel_curve(truth: Truth, answer: Answer) -> PixelCurve:
    """Curve over the pixels of all images, good ones included; computed once per truth and answer.

    Raises Undefined if a defective image has no mask, if there are no maps or maps of another size, if a
    value is not finite, or if all pixels are of one class.
    """
    return answer.once(truth, _pixel_curve)


def _pixel_curve(truth: Truth, answer: Answer) -> PixelCurve:
    maps, masks = answer.require_maps(truth), truth.require_masks()
    if isinstance(maps, np.ndarray) and isinstance(masks, np.ndarray):
        return curve_of_maps(maps, truth.regions, answer.scratch)
    from benchmark.metrics.streaming import curve_of_stream

    return curve_of_stream(maps, masks, truth)


def curve_of_maps(maps: Floats, regions: Regions, scratch: Scratch | None = None) -> PixelCurve:
    """Curve of `maps` (N, H, W), all in memory. `scratch` saves the pages of one copy of the maps."""
    values = maps.reshape(-1)
    positives = order_positives(values[regions.index], regions.weight)
    pixels = (scratch or Scratch()).take(values.size, values.dtype)
    np.copyto(pixels, values)
    pixels.sort()
    # NaN sort last, infinities to both ends.
    if values.size and not (np.isfinite(pixels[0]) and np.isfinite(pixels[-1])):
        raise Undefined(not_finite("maps", maps))
    below = np.searchsorted(pixels, positives.threshold, "left")
    # The pixels after `below` are the score's own; a normal pixel shares the score only if there is one more.
    not_above = below + positives.count
    more = np.flatnonzero(pixels[np.minimum(not_above, values.size - 1)] == positives.threshold)
    not_above[more] = np.searchsorted(pixels, positives.threshold[more], "right")
    return curve_from_counts(
        positives,
        values.size - below,
        values.size - not_above,
        regions=len(regions.size),
        pixels=values.size,
    )


def order_positives(values: npt.NDArray[Any], weight: npt.NDArray[np.float64]) -> Positives:
    """Distinct `values` (P,) with the counts and summed weights at or above each.

    Weights are added from the highest score down, equal scores in the order of the pixels: the same bits
    however the pixels were gathered.
    """
    order = stable_order(values)
    values = values[order]
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True))[: len(values)]
    first = np.append(0, last[:-1] + 1)[: len(last)]
    covered = np.cumsum(weight[order][::-1])[::-1]
    return Positives(values[first], last - first + 1, len(values) - first, covered[first])


def stable_order(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """`values.argsort(kind="stable")`, for float32 by one SIMD sort of (value, position) in 64 bits."""
    if values.dtype != np.float32 or len(values) >= 1 << 32:
        return values.argsort(kind="stable")
    keys = rising_keys(values).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(values), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(0xFFFFFFFF)
    return keys.view(np.int64)


def rising_keys(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Unsigned integers in the same order as the finite float32 `values`, zeros of both signs being equal."""
    bits = (values + np.float32(0.0)).view(np.int32)
    # Negative floats run backwards: flip all their bits, and only the sign of the others.
    return bits.view(np.uint32) ^ ((bits >> 31).view(np.uint32) | np.uint32(0x80000000))


def curve_from_counts(
    positives: Positives, at_least: Counts, above: Counts, *, regions: int, pixels: int
) -> PixelCurve:
    """The curve, given how many of all `pixels` are ≥ and > each threshold (rising, as in `positives`)."""
    anomalous = int(positives.count.sum())
    curve = PixelCurve(
        threshold=positives.threshold[::-1],
        hits=positives.hits[::-1],
        false_above=(above - positives.hits + positives.count)[::-1],
        false_alarms=(at_least - positives.hits)[::-1],
        positives=anomalous,
        negatives=pixels - anomalous,
        overlap=positives.covered[::-1] / max(regions, 1),
    )
    require_both(curve, "anomalous pixel", "normal pixel")
    return curve
