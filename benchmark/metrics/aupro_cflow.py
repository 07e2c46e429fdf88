"""AUPRO as cflow-ad's train.py, AnomalyCLIP's metrics.py and ADer's compute_pro compute it."""

from __future__ import annotations

import numpy as np

from ltbench.benchmark.metrics.base import Answer, Metric, Truth, Undefined
from ltbench.benchmark.metrics.blocks.sorted_pixels import sorted_pixels

THRESHOLDS, LIMIT = 200, 0.3


def compute(truth: Truth, answer: Answer) -> float:
    """Compute AUPRO at equal steps of the score.

    A monotone transform of the scores, or one outlier, can change this value by tens of points.
    """
    pixels = sorted_pixels(truth, answer)
    low, high = pixels.range
    if low == high:
        raise Undefined("all pixels share one score: no thresholds between lowest and highest")
    # In the precision of the maps, as in the original code.
    scores = np.arange(low, high, (high - low) / THRESHOLDS)
    rates = pixels.alarms(scores, equal=False) / len(pixels.normal)
    inside = rates < LIMIT
    rates = rates[inside]
    if not len(rates) or rates.min() == rates.max():
        raise Undefined(f"the {THRESHOLDS} thresholds give no two false positive rates below {LIMIT}")
    stretched = (rates - rates.min()) / (rates.max() - rates.min())
    return -float(np.trapezoid(pixels.overlap(scores, equal=False)[inside], stretched))


METRIC = Metric(
    title="AUPRO (CFLOW)",
    description="AUPRO at 200 equal steps of the score with stretched rates, as cflow-ad's code prints it.",
    needs="maps",
    recipe="as cflow-ad's code; 200 thresholds at equal steps of the score, rates below 0.3 stretched to "
    "[0, 1]; per category",
    compute=compute,
    order=91,
)
