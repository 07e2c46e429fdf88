"""How much of each anomalous region is found at one false positive rate, against the region's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Answer, Truth, Undefined
from ltbench.benchmark.metrics.pixel_curve import pixel_curve


@dataclass(frozen=True, eq=False)
class RegionRecall:
    """The regions of one category at one threshold."""

    threshold: float
    """Lowest score that is flagged; infinite if nothing may be."""
    size: npt.NDArray[np.int64]
    """(R,) pixels of each region."""
    covered: npt.NDArray[np.float64]
    """(R,) share of the region's pixels that are flagged."""


@dataclass(frozen=True)
class SizeGroup:
    """The regions of a range of sizes."""

    smallest: int
    largest: int
    regions: int
    covered: float
    """Mean share of the regions' pixels that are flagged."""
    found: float
    """Share of the regions with any flagged pixel."""


def region_recall(truth: Truth, answer: Answer, false_positive_rate: float = 0.01) -> RegionRecall:
    """Coverage of each region at the lowest threshold, among anomalous pixels' scores, that keeps the rate.

    Raises Undefined as `pixel_curve` does, and for streamed maps.
    """
    maps, _ = answer.require_arrays(truth, "the recall of regions")
    threshold = np.inf
    allowed = false_positive_rate * pixel_curve(truth, answer).negatives
    for piece in pixel_curve(truth, answer).pieces():
        kept = int(np.searchsorted(piece.false_alarms, allowed, "right"))
        if kept:
            threshold = float(piece.threshold[kept - 1])
        if kept < len(piece.threshold):
            break
    regions = truth.regions
    flagged = maps.reshape(-1)[regions.index] >= threshold
    hits = np.bincount(regions.region, flagged, minlength=len(regions.size))
    return RegionRecall(threshold, regions.size, hits / regions.size)


def by_size(recalls: Sequence[RegionRecall], groups: int = 4) -> list[SizeGroup]:
    """Regions of several categories in `groups` groups of about equal number, smallest first.

    Regions of one size stay in one group, so there may be fewer groups. Raises Undefined without regions.
    """
    size = np.concatenate([recall.size for recall in recalls]) if recalls else np.empty(0, np.int64)
    if not len(size):
        raise Undefined("no anomalous region")
    covered = np.concatenate([recall.covered for recall in recalls])
    borders = np.unique(np.quantile(size, np.linspace(0, 1, groups + 1)[1:-1], method="lower"))
    member = np.searchsorted(borders, size, "left")
    return [
        SizeGroup(
            smallest=int(size[here].min()),
            largest=int(size[here].max()),
            regions=int(here.sum()),
            covered=float(covered[here].mean()),
            found=float((covered[here] > 0).mean()),
        )
        for here in (member == group for group in np.unique(member))
    ]
