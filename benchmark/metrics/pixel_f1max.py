"""Highest F1 of all pixels over all thresholds."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.curve import f1_max
from ltbench.benchmark.metrics.blocks.pixel_curve import pixel_curve


def compute(truth: Truth, answer: Answer) -> float:
    return f1_max(pixel_curve(truth, answer))


METRIC = Metric(
    title="P-F1max",
    description="Highest F1 of the pixels over all thresholds; the best is chosen on the test set.",
    needs="maps",
    recipe="exact, every threshold; all images; per category",
    compute=compute,
    order=60,
    shown=True,
)
