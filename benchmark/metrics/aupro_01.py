"""Area under the per-region overlap curve (AUPRO) up to a false positive rate of 1 %."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.curve import area_under_overlap
from ltbench.benchmark.metrics.blocks.pixel_curve import pixel_curve


def compute(truth: Truth, answer: Answer) -> float:
    """Area under the per-region overlap up to a false positive rate of 0.01."""
    return area_under_overlap(pixel_curve(truth, answer), 0.01)


METRIC = Metric(
    title="AUPRO@1%",
    description="Mean covered share of anomalous regions, averaged over pixel false positive rates to 1 %.",
    needs="maps",
    recipe="exact, linear between thresholds, cut at FPR 0.01; regions 8-connected; all images; per category",
    compute=compute,
    curve="pro",
    order=81,
)
