"""Share of the defective images that score higher than every good one."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth, Undefined


def compute(truth: Truth, answer: Answer) -> float:
    """Raise Undefined, with the reason, where there is no value: never return 0 for it."""
    scores = answer.require_scores(truth)
    good, defective = scores[~truth.labels], scores[truth.labels]
    if not len(good) or not len(defective):
        raise Undefined("the category has no good or no defective test image")
    return float((defective > good.max()).mean())


METRIC = Metric(
    title="Clean recall",
    description="Share of the defective images that score higher than every good one.",
    needs="scores",
    recipe="strictly higher; per category",
    compute=compute,
)
