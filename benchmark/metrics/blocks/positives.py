"""The anomalous pixels of a curve, in order of their scores, and the sorts that put them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Floats
from ltbench.benchmark.metrics.blocks.curve import Counts, Piece


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
