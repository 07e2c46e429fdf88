"""Image AUROC of a category's defects against the good images of all categories.

The AUROC of a single category does not show that its defects score below another category's good images. The
mean of this metric over categories is the pooled AUROC of all images, with equal weights of the categories.
"""

from __future__ import annotations

import math

import numpy as np

from ltbench.benchmark.metrics.base import Answer, Metric, Truth, Undefined
from ltbench.benchmark.metrics.blocks.curve import auroc
from ltbench.benchmark.metrics.blocks.image_curve import curve_of_scores


def compute(truth: Truth, answer: Answer) -> float:
    """Mean AUROC of the defective images against the good images of each category."""
    defective = answer.require_scores(truth)[truth.labels]
    if not len(defective):
        raise Undefined("no defective image: one class only")
    areas = []
    for good in answer.require_good_scores():
        labels = np.arange(len(defective) + len(good)) < len(defective)
        areas.append(auroc(curve_of_scores(np.concatenate([defective, good]), labels)))
    return math.fsum(areas) / len(areas)


METRIC = Metric(
    title="I-AUROC, all good",
    description="Probability that a defective image scores above a good image of a random category.",
    needs="scores",
    recipe="exact, ties one half; good images of every category of the cell, categories of equal weight; "
    "per category",
    compute=compute,
    order=35,
)
