"""Recall of a category's defective images at one threshold shared by all categories.

A production line with one model for many products has one alarm threshold. If a method's scores differ
between rare and frequent products, a threshold that keeps false alarms low for all of them misses defects of
the rare ones, which the AUROC of a single category does not show.
"""

from __future__ import annotations

import numpy as np

from ltbench.benchmark.metrics.base import Answer, Floats, Metric, Truth, Undefined

RATE = 0.01


def compute(truth: Truth, answer: Answer) -> float:
    """Share of defective images above the highest of the categories' thresholds."""
    defective = answer.require_scores(truth)[truth.labels]
    if not len(defective):
        raise Undefined("no defective image: one class only")
    threshold = max(lowest_threshold(good) for good in answer.require_good_scores())
    return float(np.mean(defective > threshold))


def lowest_threshold(good: Floats) -> float:
    """Lowest score of a good image that at most a share `RATE` of the good images exceed."""
    allowed = int(np.floor(RATE * len(good)))
    return float(np.sort(good)[::-1][min(allowed, len(good) - 1)])


METRIC = Metric(
    title="I-Recall, shared",
    description="Recall at the lowest threshold that flags at most 1 % of the good images of any category.",
    needs="scores",
    recipe="exact; one threshold for the cell, at most 1 % of each category's good images above it; "
    "per category",
    compute=compute,
    order=36,
)
