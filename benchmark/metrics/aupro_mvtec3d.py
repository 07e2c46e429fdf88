"""AUPRO as the evaluation code of MVTec 3D-AD computes it: 200 thresholds at ranks of normal pixels."""

from __future__ import annotations

import numpy as np

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.sorted_pixels import sorted_pixels

THRESHOLDS, LIMIT = 200, 0.3


def compute(truth: Truth, answer: Answer) -> float:
    """Compute AUPRO at equal ranks of the normal pixels.

    The false positive rate follows from the rank, even where normal pixels share a score.
    """
    pixels = sorted_pixels(truth, answer)
    negatives = len(pixels.normal)
    rank = np.linspace(0, negatives - 1, num=THRESHOLDS, dtype=int)
    rates = np.append(1.0, 1.0 - (rank + 1) / negatives)[::-1]
    overlap = np.append(1.0, pixels.overlap(pixels.normal[rank], equal=False))[::-1]
    inside = rates <= LIMIT
    x = np.append(rates[inside], LIMIT)
    y = np.append(overlap[inside], np.interp(LIMIT, rates, overlap))
    return float(np.trapezoid(y, x)) / LIMIT


METRIC = Metric(
    title="AUPRO (MVTec 3D-AD)",
    description="AUPRO at 200 equal steps of the false positive rate, as the code of MVTec 3D-AD prints it.",
    needs="maps",
    recipe="as MVTec 3D-AD's code; 200 thresholds at equal ranks of normal pixels, cut at FPR 0.3; "
    "per category",
    compute=compute,
    order=90,
)
