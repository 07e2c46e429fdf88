"""Per-region overlap at a fixed number of thresholds."""

from __future__ import annotations

import numpy as np

from ltbench.benchmark.metrics.base import Answer, Truth, Undefined
from ltbench.benchmark.metrics.legacy.pixels import sorted_pixels


def aupro_at_quantiles(truth: Truth, answer: Answer, number: int, limit: float = 0.3) -> float:
    """AUPRO at `number` normal pixels at equal steps of their rank, straight lines between them.

    The false positive rate is taken from the rank, also where normal pixels share a score.
    """
    pixels = sorted_pixels(truth, answer)
    negatives = len(pixels.normal)
    rank = np.linspace(0, negatives - 1, num=number, dtype=int)
    rates = np.append(1.0, 1.0 - (rank + 1) / negatives)[::-1]
    overlap = np.append(1.0, pixels.overlap(pixels.normal[rank], equal=False))[::-1]
    inside = rates <= limit
    x = np.append(rates[inside], limit)
    y = np.append(overlap[inside], np.interp(limit, rates, overlap))
    return float(np.trapezoid(y, x)) / limit


def aupro_at_equal_scores(truth: Truth, answer: Answer, number: int, limit: float = 0.3) -> float:
    """AUPRO at `number` thresholds at equal steps of the score, the rates below `limit` stretched to [0, 1].

    Raises Undefined where fewer than two different rates are left to stretch.
    """
    pixels = sorted_pixels(truth, answer)
    low, high = pixels.range
    if low == high:
        raise Undefined("all pixels share one score: no thresholds between lowest and highest")
    # In the maps' own precision, as the originals do.
    scores = np.arange(low, high, (high - low) / number)
    rates = pixels.alarms(scores, equal=False) / len(pixels.normal)
    inside = rates < limit
    rates = rates[inside]
    if not len(rates) or rates.min() == rates.max():
        raise Undefined(f"the {number} thresholds give no two false positive rates below {limit}")
    stretched = (rates - rates.min()) / (rates.max() - rates.min())
    return -float(np.trapezoid(pixels.overlap(scores, equal=False)[inside], stretched))
