"""AUPRO as ADEval computes it with 200 bins, the setting of INP-Former and Dinomaly."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks import equal_bins


def compute(truth: Truth, answer: Answer) -> float:
    return equal_bins.aupro(truth, answer, 200)


METRIC = Metric(
    title="AUPRO (ADEval)",
    description="AUPRO from 200 bins of equal width, as ADEval prints it.",
    needs="maps",
    recipe="as ADEval's code; 200 bins of equal width, trapezoids between them; per category",
    compute=compute,
    order=94,
)
