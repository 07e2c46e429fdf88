"""The exact curve of image scores, shared by the image metrics."""

from __future__ import annotations

import numpy as np

from benchmark.metrics.base import Answer, Truth
from benchmark.metrics.curve import Curve, require_both


def image_curve(truth: Truth, answer: Answer) -> Curve:
    """Curve over images. Raises Undefined if scores are unfit or all images are of one class."""
    return require_both(
        curve_of_scores(answer.require_scores(truth), truth.labels), "defective image", "good image"
    )


def curve_of_scores(scores: np.ndarray, labels: np.ndarray) -> Curve:
    """Curve of scores (N,) and labels (N,), true = anomalous."""
    threshold, hits = np.unique(scores[labels], return_counts=True)
    normal = np.sort(scores[~labels])
    return Curve(
        threshold=threshold[::-1],
        hits=np.cumsum(hits[::-1], dtype=np.int64),
        false_above=(len(normal) - np.searchsorted(normal, threshold, "right"))[::-1],
        false_alarms=(len(normal) - np.searchsorted(normal, threshold, "left"))[::-1],
        positives=int(hits.sum()),
        negatives=len(normal),
    )
