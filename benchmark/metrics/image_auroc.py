"""Area under the ROC curve of the image scores."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.curve import auroc
from ltbench.benchmark.metrics.blocks.image_curve import image_curve


def compute(truth: Truth, answer: Answer) -> float:
    return auroc(image_curve(truth, answer))


METRIC = Metric(
    title="I-AUROC",
    description="Probability that a defective image scores higher than a good one.",
    needs="scores",
    recipe="exact, ties one half; per category",
    compute=compute,
    order=10,
    shown=True,
)
