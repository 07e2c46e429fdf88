"""Pixel metrics from one walk over the maps: 65 536 counters, and bounds that the exact values must lie in.

Scores are rounded to 16 bits in a way that keeps their order. What is above or below a bin is then known
exactly, only the order within a bin is not; the bounds are the best and the worst order, so they always hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from ltbench.benchmark.metrics.base import Undefined, not_finite
from ltbench.benchmark.metrics.positives import rising_keys
from ltbench.benchmark.metrics.regions import label_regions
from ltbench.benchmark.metrics.streaming import Source, regroup

Key = Literal["float16", "bfloat16"]
BINS = 1 << 16
# What rounding in sums over bins may add to a bound.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Bounded:
    """An approximate value and what the exact one cannot leave."""

    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """How far the exact value can be from `value` at most."""
        return max(self.high - self.value, self.value - self.low)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Pixels per 16-bit score, lowest score first."""

    anomalous: npt.NDArray[np.int64]
    """(65536,) anomalous pixels."""
    weight: npt.NDArray[np.float64]
    """(65536,) their summed weight, a region's pixels sharing a weight of one."""
    normal: npt.NDArray[np.int64]
    """(65536,) normal pixels."""
    regions: int
    exact: bool
    """True if no two different scores share a bin: every map was of the key's own type."""


def histogram_of_stream(
    maps: Source, masks: Source, key: Key = "float16", chunk_pixels: int = 1 << 20
) -> Histogram:
    """Histogram of all pixels of `maps` and `masks` (N, H, W), arrays or streams, in one walk.

    "float16" has 1024 bins per doubling of the score between 6e-5 and 65504, "bfloat16" has 128 in all of
    float32's range. Raises Undefined if a map is not finite or there are no pixels of one class.
    """
    planes = max(chunk_pixels // (maps.shape[1] * maps.shape[2]), 1)
    anomalous, every = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    weight = np.zeros(BINS)
    regions, start, exact = 0, 0, key == "float16"
    for chunk, mask in zip(regroup(maps, planes), regroup(masks, planes), strict=True):
        if not np.isfinite(chunk).all():
            raise Undefined(not_finite("maps", chunk, start))
        found = label_regions(np.asarray(mask, bool))
        keys = sixteen_bits(chunk, key).reshape(-1)
        every += np.bincount(keys, minlength=BINS)
        anomalous += np.bincount(keys[found.index], minlength=BINS)
        weight += np.bincount(keys[found.index], found.weight, minlength=BINS)
        regions += len(found.size)
        exact &= chunk.dtype == np.float16
        start += len(chunk)
    normal = every - anomalous
    if not anomalous.any() or not normal.any():
        raise Undefined(f"no {'normal' if anomalous.any() else 'anomalous'} pixel: one class only")
    return Histogram(anomalous, weight, normal, regions, exact)


def sixteen_bits(values: npt.NDArray[Any], key: Key) -> npt.NDArray[np.uint16]:
    """Keys in the order of the finite `values`: a lower value never gets a higher key."""
    values = values.astype(np.float32, copy=False)
    if key == "bfloat16":
        return (rising_keys(values) >> np.uint32(16)).astype(np.uint16)
    with np.errstate(over="ignore"):
        bits = (values + np.float32(0.0)).astype(np.float16).view(np.int16)
    return bits.view(np.uint16) ^ ((bits >> 15).view(np.uint16) | np.uint16(0x8000))


def bounded_metrics(histogram: Histogram, limit: float = 0.3) -> dict[str, Bounded]:
    """Pixel AUROC, AP, F1max and the AUPRO up to `limit`, by the names of the exact metrics."""
    used = np.flatnonzero(histogram.anomalous + histogram.normal)[::-1]
    new = histogram.anomalous[used]
    alarms = np.cumsum(histogram.normal[used])
    hits = np.cumsum(new)
    overlap = np.cumsum(histogram.weight[used]) / histogram.regions
    before = np.concatenate(([0], alarms[:-1]))
    found = {
        "pixel_auroc": _auroc(new, before, alarms),
        "pixel_ap": _average_precision(new, hits, before, alarms),
        "pixel_f1max": _f1_max(hits, before, alarms),
        "aupro": _aupro(overlap, before, alarms, limit),
    }
    if histogram.exact:
        return {name: Bounded(each.value, each.value, each.value) for name, each in found.items()}
    return {
        name: Bounded(each.value, each.low - ROUNDING, each.high + ROUNDING) for name, each in found.items()
    }


Counts = npt.NDArray[np.int64]


def _auroc(new: Counts, before: Counts, alarms: Counts) -> Bounded:
    """Half of the pairs within a bin, give or take the other half."""
    positives, negatives = int(new.sum()), int(alarms[-1])
    won = float(np.dot(new.astype(float), (negatives - alarms).astype(float)))
    within = float(np.dot(new.astype(float), (alarms - before).astype(float)))
    low, value, high = (won + share * within for share in (0.0, 0.5, 1.0))
    pairs = positives * negatives
    return Bounded(value / pairs, low / pairs, high / pairs)


def _average_precision(new: Counts, hits: Counts, before: Counts, alarms: Counts) -> Bounded:
    """At best a bin's hits share one score above its normal pixels, at worst they follow one by one."""
    some = new > 0
    new, hits, before, alarms = new[some], hits[some], before[some], alarms[some]
    positives = hits[-1]
    value = np.dot(new, hits / (hits + alarms)) / positives
    high = np.dot(new, hits / (hits + before)) / positives
    # Sum of k/(k + alarms) over the bin's hits k, in closed form.
    worst = new - alarms * (digamma(hits + alarms + 1.0) - digamma(hits - new + alarms + 1.0))
    return Bounded(float(value), min(float(worst.sum() / positives), float(value)), float(high))


def _f1_max(hits: Counts, before: Counts, alarms: Counts) -> Bounded:
    """The lower end of a bin is a threshold that exists; above it, hits may come without the bin's alarms."""
    positives = hits[-1]
    reached = float(np.max(2 * hits / (hits + alarms + positives)))
    return Bounded(reached, reached, float(np.max(2 * hits / (hits + before + positives))))


def _aupro(overlap: npt.NDArray[np.float64], before: Counts, alarms: Counts, limit: float) -> Bounded:
    """Within a bin the curve rises from corner to corner: area between the two stairs around it."""
    end = limit * alarms[-1]
    width = np.minimum(alarms, end) - np.minimum(before, end)
    start = np.concatenate(([0.0], overlap[:-1]))
    low, high = np.dot(start, width) / end, np.dot(overlap, width) / end
    share = np.divide(width, alarms - before, out=np.zeros_like(width), where=alarms > before)
    value = np.dot(start + (overlap - start) * share / 2, width) / end
    return Bounded(float(value), float(low), float(high))
