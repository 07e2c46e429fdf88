"""Average precision of the image scores."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.curve import average_precision
from ltbench.benchmark.metrics.blocks.image_curve import image_curve


def compute(truth: Truth, answer: Answer) -> float:
    return average_precision(image_curve(truth, answer))


METRIC = Metric(
    title="I-AP",
    description="Mean precision at the defective images' scores, by the step rule.",
    needs="scores",
    recipe="exact, step rule; per category",
    compute=compute,
    order=20,
    shown=True,
)
