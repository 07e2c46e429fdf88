"""Average precision of all pixels."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.curve import average_precision
from ltbench.benchmark.metrics.blocks.pixel_curve import pixel_curve


def compute(truth: Truth, answer: Answer) -> float:
    return average_precision(pixel_curve(truth, answer))


METRIC = Metric(
    title="P-AP",
    description="Mean precision at the anomalous pixels' scores, by the step rule, over all images.",
    needs="maps",
    recipe="exact, step rule; all images; per category",
    compute=compute,
    order=50,
    shown=True,
)
