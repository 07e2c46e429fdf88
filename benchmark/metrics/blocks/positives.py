"""Anomalous pixels of a curve, sorted by score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Floats
from ltbench.benchmark.metrics.blocks.curve import Counts, Piece


@dataclass(frozen=True, eq=False)
class Positives:
    """Distinct scores of the anomalous pixels, ascending, with counts and weights at or above each."""

    threshold: Floats
    """(m,), strictly ascending."""
    count: Counts
    """(m,), number of anomalous pixels with exactly this score."""
    hits: Counts
    """(m,), number of anomalous pixels ≥ threshold."""
    covered: npt.NDArray[np.float64]
    """(m,), summed weight of the anomalous pixels ≥ threshold; at the lowest score, the number of regions."""

    def piece(self, at_least: Counts, above: Counts, regions: int) -> Piece:
        """Build the part of the curve at these scores.

        Args:
            at_least: (m,), number of all pixels ≥ each threshold.
            above: (m,), number of all pixels > each threshold.
            regions: Number of regions.
        """
        return Piece(
            threshold=self.threshold[::-1],
            new_hits=self.count[::-1],
            hits=self.hits[::-1],
            false_above=(above - self.hits + self.count)[::-1],
            false_alarms=(at_least - self.hits)[::-1],
            overlap=self.covered[::-1] / max(regions, 1),
        )


def order_positives(
    values: npt.NDArray[Any],
    weight: npt.NDArray[np.float64],
    count: Counts | None = None,
    *,
    hits_above: int = 0,
    covered_above: float = 0.0,
) -> Positives:
    """Sort anomalous pixels by score and merge equal scores.

    Weights are added from the highest score down, and in the order of the pixels for equal scores, so that
    the sums have the same bits however the pixels were gathered.

    Args:
        values: (P,) scores.
        weight: (P,) summed weight of the pixels with each score.
        count: (P,) number of these pixels; None = one each.
        hits_above: Number of anomalous pixels above all of `values`.
        covered_above: Their summed weight.
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
    """Stable argsort, which sorts float32 values as 64-bit pairs (value, position) by SIMD instructions."""
    if values.dtype != np.float32 or len(values) >= 1 << 32:
        return values.argsort(kind="stable")
    keys = rising_keys(values).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(values), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(0xFFFFFFFF)
    return keys.view(np.int64)


def rising_keys(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Map finite float32 values to unsigned integers in the same order; -0 and 0 become equal."""
    bits = (values + np.float32(0.0)).view(np.int32)
    # Negative floats run backwards: flip all their bits, and only the sign of the others.
    return bits.view(np.uint32) ^ ((bits >> 31).view(np.uint32) | np.uint32(0x80000000))
