"""Sorted pixel scores in memory, for metrics that count at their own thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Answer, Floats, Truth
from ltbench.benchmark.metrics.blocks.curve import Counts, require_both
from ltbench.benchmark.metrics.blocks.pixel_curve import pixel_curve


@dataclass(frozen=True, eq=False)
class Pixels:
    """Sorted scores of one category's pixels."""

    normal: Floats
    """(N,), ascending."""
    anomalous: Floats
    """(P,), ascending."""
    weight_below: npt.NDArray[np.float64]
    """(P + 1,), summed weight of the anomalous pixels before each position."""
    regions: int
    """Number of anomalous regions."""

    @cached_property
    def range(self) -> tuple[Any, Any]:
        """Lowest and highest score of all pixels."""
        return min(self.normal[0], self.anomalous[0]), max(self.normal[-1], self.anomalous[-1])

    def alarms(self, threshold: npt.NDArray[Any], *, equal: bool) -> Counts:
        """Number of normal pixels > each threshold, or ≥ if `equal`."""
        return len(self.normal) - np.searchsorted(self.normal, threshold, "left" if equal else "right")

    def hits(self, threshold: npt.NDArray[Any], *, equal: bool) -> Counts:
        """Number of anomalous pixels > each threshold, or ≥ if `equal`."""
        return len(self.anomalous) - np.searchsorted(self.anomalous, threshold, "left" if equal else "right")

    def overlap(self, threshold: npt.NDArray[Any], *, equal: bool) -> npt.NDArray[np.float64]:
        """Mean over regions of the share of the region's pixels > each threshold, or ≥ if `equal`."""
        below = self.weight_below[len(self.anomalous) - self.hits(threshold, equal=equal)]
        overlap: npt.NDArray[np.float64] = (self.weight_below[-1] - below) / self.regions
        return overlap


def sorted_pixels(truth: Truth, answer: Answer) -> Pixels:
    """Sort the pixels of a category, once per prediction; raises Undefined as `pixel_curve` does."""
    return answer.once(truth, _sorted_pixels)


def _sorted_pixels(truth: Truth, answer: Answer) -> Pixels:
    """Sort the pixels, see `sorted_pixels`."""
    maps, _ = answer.require_arrays(truth, "a metric at thresholds of its own")
    require_both(pixel_curve(truth, answer), "anomalous pixel", "normal pixel")
    values = maps.reshape(-1)
    regions = truth.regions
    anomalous = values[regions.index]
    order = np.argsort(anomalous, kind="stable")
    normal = np.delete(values, regions.index)
    normal.sort()
    below = np.append(0.0, np.cumsum(regions.weight[order]))
    return Pixels(normal, anomalous[order], below, len(regions.size))
