"""Highest F1 of the image scores over all thresholds."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.curve import f1_max
from ltbench.benchmark.metrics.blocks.image_curve import image_curve


def compute(truth: Truth, answer: Answer) -> float:
    return f1_max(image_curve(truth, answer))


METRIC = Metric(
    title="I-F1max",
    description="Highest F1 of the image scores over all thresholds; the best is chosen on the test set.",
    needs="scores",
    recipe="exact, every threshold; per category",
    compute=compute,
    order=30,
    shown=True,
)
