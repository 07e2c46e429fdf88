"""The exact curve of pixel scores in one pass: one sort of all pixels, whatever is asked afterwards.

Only the anomalous pixels (a few per cent) are put in order together with their weights. All pixels are sorted
as bare values, and a binary search per distinct anomalous score counts the rest. Every pixel metric follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.metrics.base import (
    Answer,
    Floats,
    MapSource,
    Scratch,
    Truth,
    Undefined,
    as_array,
    is_tensor,
    not_finite,
)
from benchmark.metrics.curve import Counts, Curve, CurveInMemory, Piece, require_both
from benchmark.metrics.regions import Regions


def pixel_curve(truth: Truth, answer: Answer) -> Curve:
    """Curve over the pixels of all images, good ones included; computed once per truth and answer.

    Raises Undefined if a defective image has no mask, if there are no maps or maps of another size, if a
    value is not finite, or if all pixels are of one class.
    """
    return answer.once(truth, _pixel_curve)


def _pixel_curve(truth: Truth, answer: Answer) -> Curve:
    maps, masks = answer.require_maps(truth), truth.require_masks()
    if is_tensor(maps) and maps.device.type != "cpu":
        from benchmark.metrics.tensor_curve import curve_of_tensor

        return curve_of_tensor(maps, truth.regions)
    if is_tensor(maps):
        # NumPy sorts some thirty times as fast as torch on a CPU.
        maps = as_array(maps)
    if isinstance(maps, (np.ndarray, MapSource)) and isinstance(masks, (np.ndarray, MapSource)):
        return curve_of_maps(maps, truth.regions, answer.scratch)
    from benchmark.metrics.streaming import curve_of_stream

    maps, masks = (np.asarray(each) if isinstance(each, MapSource) else each for each in (maps, masks))
    return curve_of_stream(maps, masks, check=truth.check_masks, memory_bytes=answer.memory_bytes)


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

    def piece(self, at_least: Counts, above: Counts, regions: int) -> Piece:
        """This stretch of the curve, given how many of all pixels are ≥ and > each threshold (rising)."""
        return Piece(
            threshold=self.threshold[::-1],
            new_hits=self.count[::-1],
            hits=self.hits[::-1],
            false_above=(above - self.hits + self.count)[::-1],
            false_alarms=(at_least - self.hits)[::-1],
            overlap=self.covered[::-1] / max(regions, 1),
        )


def curve_of_maps(
    maps: Floats | MapSource, regions: Regions, scratch: Scratch | None = None
) -> CurveInMemory:
    """Curve of `maps` (N, H, W), all in memory. `scratch` saves the pages of one copy of the maps."""
    pixels = (scratch or Scratch()).take(math.prod(maps.shape), maps.dtype)
    if isinstance(maps, np.ndarray):
        np.copyto(pixels, maps.reshape(-1))
    else:
        maps.fill(pixels.reshape(maps.shape))
    positives = order_positives(pixels[regions.index], regions.weight)
    pixels.sort()
    # NaN sort last, infinities to both ends.
    if pixels.size and not (np.isfinite(pixels[0]) and np.isfinite(pixels[-1])):
        raise Undefined(not_finite("maps", np.asarray(maps)))
    below = np.searchsorted(pixels, positives.threshold, "left")
    # The pixels after `below` are the score's own; a normal pixel shares the score only if there is one more.
    not_above = below + positives.count
    more = np.flatnonzero(pixels[np.minimum(not_above, pixels.size - 1)] == positives.threshold)
    not_above[more] = np.searchsorted(pixels, positives.threshold[more], "right")
    piece = positives.piece(pixels.size - below, pixels.size - not_above, len(regions.size))
    curve = CurveInMemory(piece, len(regions.index), pixels.size - len(regions.index))
    require_both(curve, "anomalous pixel", "normal pixel")
    return curve


def order_positives(
    values: npt.NDArray[Any],
    weight: npt.NDArray[np.float64],
    count: Counts | None = None,
    *,
    hits_above: int = 0,
    covered_above: float = 0.0,
) -> Positives:
    """Distinct `values` (P,), each standing for `count` pixels (default one) of summed `weight`.

    Weights are added from the highest score down, equal scores in the order of the pixels: the same bits
    however the pixels were gathered. `hits_above` and `covered_above` are what lies above all of `values`.
    """
    order = stable_order(values)[::-1]
    values = values[order]
    hits = np.arange(1, len(values) + 1) if count is None else np.cumsum(count[order])
    covered = np.cumsum(np.append(covered_above, weight[order]))[1:]
    last = np.append(values[1:] != values[:-1], True)[: len(values)]
    hits, covered, values = hits[last], covered[last], values[last]
    own = np.diff(hits, prepend=np.int64(0))
    return Positives(values[::-1], own[::-1], hits[::-1] + hits_above, covered[::-1])


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
