"""Exact areas and maxima under curves that are known at every distinct score of an anomalous item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.metrics.base import Undefined

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Hits and false alarms at each of the m distinct scores that anomalous items have, highest first.

    Between two of these scores only normal items are added, so nothing else is needed to draw any curve.
    """

    threshold: npt.NDArray[np.floating[Any]]
    """(m,), strictly falling; an item is flagged if its score is at least the threshold."""
    hits: Counts
    """(m,) anomalous items ≥ threshold; the last is all of them."""
    false_above: Counts
    """(m,) normal items > threshold."""
    false_alarms: Counts
    """(m,) normal items ≥ threshold."""
    positives: int
    negatives: int

    @property
    def new_hits(self) -> Counts:
        """(m,) anomalous items with exactly this score."""
        return np.diff(self.hits, prepend=np.int64(0))


def auroc(curve: Curve) -> float:
    """Probability that an anomalous item scores higher than a normal one, ties counting one half.

    Integer arithmetic throughout; one correctly rounded division at the end.
    """
    twice = 2 * curve.negatives - curve.false_above - curve.false_alarms
    # Two sums over halves of 32 bits: 2·P·N may exceed 63 bits, P·2³² may not.
    low = int(np.dot(curve.new_hits, twice & 0xFFFFFFFF))
    high = int(np.dot(curve.new_hits, twice >> 32))
    return (low + (high << 32)) / (2 * curve.positives * curve.negatives)


def average_precision(curve: Curve) -> float:
    """Mean, over anomalous items, of the precision at the item's score: the step rule, no interpolation."""
    precision = curve.hits / (curve.hits + curve.false_alarms)
    return float(np.dot(precision, curve.new_hits)) / curve.positives


def f1_max(curve: Curve) -> float:
    """Highest F1 over all thresholds. A threshold at a normal item's score alone is never better."""
    return float(np.max(2 * curve.hits / (curve.hits + curve.false_alarms + curve.positives)))


def area_under_overlap(curve: Curve, overlap: npt.NDArray[np.float64], limit: float) -> float:
    """Area under `overlap` (m,) over the false positive rate up to `limit`, divided by `limit`.

    Piecewise linear through every threshold, as in the evaluation of MVTec AD (Bergmann et al., IJCV 2021):
    level while only normal pixels are added, a slope where a score is shared, interpolated at the limit.
    """
    end = limit * curve.negatives
    steps = int(np.searchsorted(curve.false_above, end, "left"))
    left = curve.false_above[:steps].astype(np.float64)
    right = curve.false_alarms[:steps].astype(np.float64)
    above = overlap[:steps]
    below = np.concatenate(([0.0], above))
    # Level stretches: from the previous score's false alarms to this score's, the last one to the limit.
    starts = np.minimum(np.concatenate(([0.0], right)), end)
    area = float(np.dot(below, np.append(left, end) - starts))
    # Slopes, cut at the limit. The last level stretch above is zero where a slope crosses the limit.
    ties = right > left
    width = np.minimum(right[ties], end) - left[ties]
    rise = (above - below[:-1])[ties] * (width / (right - left)[ties])
    area += float(np.dot(below[:-1][ties] + rise / 2, width))
    return area / end


def require_both(curve: Curve, anomalous: str, normal: str) -> Curve:
    """The curve itself. Raises Undefined where there is nothing to find or nothing to confuse it with."""
    if curve.positives == 0:
        raise Undefined(f"no {anomalous}: one class only")
    if curve.negatives == 0:
        raise Undefined(f"no {normal}: one class only")
    return curve
