"""Image metrics of many weighted test sets at once, from one sort."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ltbench.reports.statistics.resampling import Bools, Floats

IMAGE_METRICS = ("image_auroc", "image_ap", "image_f1max")
_BLOCK = 256
"""Columns at a time: the arrays stay in the processor's cache."""


def image_metrics(scores: Floats, labels: Bools, weights: Floats) -> Mapping[str, Floats]:
    """(B,) values of each of IMAGE_METRICS for weights (N, B): an image of weight 2 counts as two images.

    scores: (N,), higher = more anomalous; labels: (N,), True = defective. Every column of weights needs both
    kinds. Ties as in the metrics themselves: AUROC counts a tie as half, AP and the largest F1 take tied
    images together. In the precision of `weights`.
    """
    # The curve turns at the defective images' scores only: one row per distinct one of them, highest first.
    defective, good = np.flatnonzero(labels), np.flatnonzero(~labels)
    defective = defective[np.argsort(-scores[defective], kind="stable")]
    good = good[np.argsort(-scores[good], kind="stable")]
    threshold, first = np.unique(-scores[defective], return_index=True)
    before = np.searchsorted(-scores[good], threshold, "left")
    until = np.searchsorted(-scores[good], threshold, "right")
    found = np.empty((len(IMAGE_METRICS), weights.shape[1]))
    for start in range(0, weights.shape[1], _BLOCK):
        block = weights[:, start : start + _BLOCK]
        hit = block[defective]
        if len(first) < len(defective):
            hit = np.add.reduceat(hit, first, axis=0)
        alarms = np.zeros((len(good) + 1, block.shape[1]), dtype=block.dtype)
        np.cumsum(block[good], axis=0, out=alarms[1:])
        above = alarms[before]
        up_to = above if np.array_equal(before, until) else alarms[until]
        found[:, start : start + _BLOCK] = _curve_values(hit, above, up_to, alarms[-1])
    return dict(zip(IMAGE_METRICS, found, strict=True))


def _curve_values(hit: Floats, above: Floats, up_to: Floats, negatives: Floats) -> list[Floats]:
    """AUROC, AP and largest F1 per column, from good images above each threshold and with those that tie."""
    hits = np.cumsum(hit, axis=0)
    positives = hits[-1]
    auroc = 1 - np.einsum("mb,mb->b", above + up_to, hit) / (2.0 * positives * negatives)
    called = hits + up_to
    precision = hits / np.maximum(called, 1)
    ap = np.einsum("mb,mb->b", precision, hit) / positives
    called += positives
    np.divide(hits, called, out=called)
    return [auroc, ap, 2 * called.max(axis=0)]
