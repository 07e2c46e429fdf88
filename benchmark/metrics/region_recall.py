"""Share of anomalous regions with a flagged pixel at a pixel false positive rate of 1 %."""

from __future__ import annotations

import numpy as np

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.pixel_curve import pixel_curve

RATE = 0.01


def compute(truth: Truth, answer: Answer) -> float:
    """Share of regions with a pixel above the threshold at the false positive rate `RATE`."""
    allowed = RATE * pixel_curve(truth, answer).negatives
    threshold = np.inf
    for piece in pixel_curve(truth, answer).pieces():
        kept = int(np.searchsorted(piece.false_alarms, allowed, "right"))
        if kept:
            threshold = float(piece.threshold[kept - 1])
        if kept < len(piece.threshold):
            break
    maps, _ = answer.require_arrays(truth, "the recall of regions")
    regions = truth.regions
    flagged = maps.reshape(-1)[regions.index] >= threshold
    return float(np.mean(np.bincount(regions.region, flagged, minlength=len(regions.size)) > 0))


METRIC = Metric(
    title="Region recall",
    description="Share of anomalous regions with any flagged pixel at a pixel false positive rate of 1 %.",
    needs="maps",
    recipe="exact; lowest score of an anomalous pixel that keeps FPR 0.01; regions 8-connected; all images; "
    "per category",
    compute=compute,
    order=83,
)
