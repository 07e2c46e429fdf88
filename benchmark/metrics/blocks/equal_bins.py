"""Curves at the edges of bins of equal width, as ADEval computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Answer, Truth, Undefined
from ltbench.benchmark.metrics.blocks.sorted_pixels import Pixels, sorted_pixels


def auroc(truth: Truth, answer: Answer, bins: int) -> float:
    """Area under the ROC curve by trapezoids between bin edges."""
    pixels = sorted_pixels(truth, answer)
    borders = _borders(pixels, bins)
    hits = pixels.hits(borders, equal=True) / len(pixels.anomalous)
    return _trapezoids(hits, pixels.alarms(borders, equal=True) / len(pixels.normal))


def average_precision(truth: Truth, answer: Answer, bins: int) -> float:
    """Area under the precision-recall curve by trapezoids; the precision of an empty selection is 1."""
    pixels = sorted_pixels(truth, answer)
    borders = _borders(pixels, bins)
    hits = pixels.hits(borders, equal=True)
    selected = hits + pixels.alarms(borders, equal=True)
    precision = np.divide(hits, selected, out=np.ones(len(borders)), where=selected > 0)
    return _trapezoids(precision, hits / len(pixels.anomalous))


def aupro(truth: Truth, answer: Answer, bins: int, limit: float = 0.3) -> float:
    """AUPRO by trapezoids between bin edges up to the false positive rate `limit`, divided by `limit`.

    The curve starts at the rate of the highest edge, not at zero, and is interpolated at the limit. Raises
    Undefined if all edges lie on one side of `limit`.
    """
    pixels = sorted_pixels(truth, answer)
    borders = _borders(pixels, bins)
    rates = pixels.alarms(borders, equal=True)[::-1] / len(pixels.normal)
    overlap = pixels.overlap(borders, equal=True)[::-1]
    inside = rates <= limit
    if inside.all() or not inside.any():
        raise Undefined(f"no border of the {bins} bins on one side of a false positive rate of {limit}")
    after = int(inside.sum())
    share = (limit - rates[after - 1]) / (rates[after] - rates[after - 1])
    end = overlap[after - 1] + share * (overlap[after] - overlap[after - 1])
    return float(np.trapezoid(np.append(overlap[inside], end), np.append(rates[inside], limit))) / limit


def _borders(pixels: Pixels, bins: int) -> npt.NDArray[np.float32]:
    """Bin edges (bins + 1,) from the lowest to the highest score, in float32 as in the original code."""
    low, high = (float(score) for score in pixels.range)
    if low == high:
        raise Undefined("all pixels share one score: no bins between lowest and highest")
    steps = np.linspace(0.0, 1.0, num=bins + 1, dtype=np.float32)
    return steps * np.float32(high - low) + np.float32(low)


def _trapezoids(y: npt.NDArray[Any], x: npt.NDArray[Any]) -> float:
    """Area under a curve with descending x."""
    return float(np.trapezoid(y[::-1], x[::-1]))
