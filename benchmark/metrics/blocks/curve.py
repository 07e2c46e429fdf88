"""Exact areas and maxima of curves that are given at every distinct score of an anomalous item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Undefined

Counts = npt.NDArray[np.int64]

# Number of thresholds processed at a time, few enough for intermediate results to stay in the cache.
PIECE = 1 << 16


@dataclass(frozen=True, eq=False)
class Piece:
    """Part of a curve: k successive distinct scores of anomalous items, highest first."""

    threshold: npt.NDArray[np.floating[Any]]
    """(k,), strictly falling; an item is flagged if its score is at least the threshold."""
    new_hits: Counts
    """(k,), number of anomalous items with exactly this score."""
    hits: Counts
    """(k,), number of anomalous items ≥ threshold."""
    false_above: Counts
    """(k,), number of normal items > threshold."""
    false_alarms: Counts
    """(k,), number of normal items ≥ threshold."""
    overlap: npt.NDArray[np.float64]
    """(k,), mean over regions of the share of the region's pixels ≥ threshold; empty for images."""


class Curve(Protocol):
    """True and false positives at each distinct score of the anomalous items.

    Between two of these scores only normal items are added, so these points determine every curve.
    """

    @property
    def positives(self) -> int:
        """Number of anomalous items."""
        ...

    @property
    def negatives(self) -> int:
        """Number of normal items."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """Yield the curve from the highest score down, in pieces of bounded size."""
        ...


@dataclass(frozen=True, eq=False)
class CurveInMemory:
    """Curve with all thresholds in memory."""

    whole: Piece
    positives: int
    negatives: int

    def pieces(self) -> Iterator[Piece]:
        """Yield slices of the curve."""
        fields = vars(self.whole)
        for start in range(0, len(self.whole.threshold), PIECE):
            yield Piece(**{name: values[start : start + PIECE] for name, values in fields.items()})


def auroc(curve: Curve) -> float:
    """Area under the ROC curve: probability that an anomalous item scores higher than a normal one.

    Ties count one half. Sums are integers, with one correctly rounded division at the end.
    """
    total = 0
    for piece in curve.pieces():
        twice = 2 * curve.negatives - piece.false_above - piece.false_alarms
        # Two sums over halves of 32 bits: 2·P·N may exceed 63 bits, P·2³² may not.
        total += int(np.dot(piece.new_hits, twice & 0xFFFFFFFF))
        total += int(np.dot(piece.new_hits, twice >> 32)) << 32
    return total / (2 * curve.positives * curve.negatives)


def average_precision(curve: Curve) -> float:
    """Mean over anomalous items of the precision at the item's score (step rule, no interpolation)."""
    total = 0.0
    for piece in curve.pieces():
        total += float(np.dot(piece.hits / (piece.hits + piece.false_alarms), piece.new_hits))
    return total / curve.positives


def f1_max(curve: Curve) -> float:
    """Highest F1 over all thresholds; scores of normal items need not be tried, they are never better."""
    return max(
        float(np.max(2 * piece.hits / (piece.hits + piece.false_alarms + curve.positives)))
        for piece in curve.pieces()
    )


def area_under_overlap(curve: Curve, limit: float) -> float:
    """Area under the per-region overlap up to the false positive rate `limit`, divided by `limit` (AUPRO).

    The curve is piecewise linear through every threshold, as in the evaluation of MVTec AD (Bergmann et al.,
    IJCV 2021): constant while only normal pixels are added, sloped where normal and anomalous pixels share a
    score, interpolated at the limit.
    """
    end = limit * curve.negatives
    area = reached = covered = 0.0
    for piece in curve.pieces():
        if reached >= end:
            break
        steps = int(np.searchsorted(piece.false_above, end, "left"))
        left = piece.false_above[:steps].astype(np.float64)
        right = piece.false_alarms[:steps].astype(np.float64)
        before = np.concatenate(([covered], piece.overlap[:steps]))
        starts = np.concatenate(([reached], right))
        # Constant parts, from the false positives of the last score to those of this score.
        area += float(np.dot(before[:-1], left - starts[:-1]))
        # Sloped parts, cut at the limit.
        ties = np.flatnonzero(right > left)
        width = np.minimum(right[ties], end) - left[ties]
        rise = np.diff(before)[ties] * (width / (right[ties] - left[ties]))
        area += float(np.dot(before[ties] + rise / 2, width))
        reached, covered = float(starts[-1]), float(before[-1])
        if steps < len(piece.threshold):
            break
    return (area + covered * max(end - reached, 0.0)) / end


def require_both(curve: Curve, anomalous: str, normal: str) -> None:
    """Raise Undefined if a curve has no anomalous or no normal items, named as given."""
    if curve.positives == 0:
        raise Undefined(f"no {anomalous}: one class only")
    if curve.negatives == 0:
        raise Undefined(f"no {normal}: one class only")
