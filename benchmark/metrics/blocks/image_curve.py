"""Exact curve of image scores, shared by the image metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Answer, Truth
from ltbench.benchmark.metrics.blocks.curve import CurveInMemory, Piece, require_both


def image_curve(truth: Truth, answer: Answer) -> CurveInMemory:
    """Curve over the images of a category, computed once per prediction.

    Raises Undefined if the scores are missing or not finite, or if all images are of one class.
    """
    return answer.once(truth, _image_curve)


def _image_curve(truth: Truth, answer: Answer) -> CurveInMemory:
    """Compute the curve of image scores, see `image_curve`."""
    curve = curve_of_scores(answer.require_scores(truth), truth.labels)
    require_both(curve, "defective image", "good image")
    return curve


def curve_of_scores(scores: npt.NDArray[Any], labels: npt.NDArray[np.bool_]) -> CurveInMemory:
    """Curve of scores (N,) and labels (N,), true = anomalous."""
    threshold, hits = np.unique(scores[labels], return_counts=True)
    threshold, hits = threshold[::-1], hits[::-1]
    normal = np.sort(scores[~labels])
    whole = Piece(
        threshold=threshold,
        new_hits=hits,
        hits=np.cumsum(hits),
        false_above=len(normal) - np.searchsorted(normal, threshold, "right"),
        false_alarms=len(normal) - np.searchsorted(normal, threshold, "left"),
        overlap=np.empty(0),
    )
    return CurveInMemory(whole, int(hits.sum()), len(normal))
