"""Area under the ROC curve of all pixels."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.curve import auroc
from ltbench.benchmark.metrics.blocks.pixel_curve import pixel_curve


def compute(truth: Truth, answer: Answer) -> float:
    return auroc(pixel_curve(truth, answer))


METRIC = Metric(
    title="P-AUROC",
    description="Probability that an anomalous pixel scores higher than a normal one, over all images.",
    needs="maps",
    recipe="exact, ties one half; all images; per category",
    compute=compute,
    order=40,
    shown=True,
)
