"""Curves that a report draws, at a bounded size: what is kept of a million thresholds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics import Answer, Truth
from ltbench.benchmark.metrics.blocks.curve import Curve
from ltbench.benchmark.metrics.blocks.pixel_curve import pixel_curve

LIMIT = 0.3
"""False positive rate at which AUPRO is cut."""
POINTS = 64

Points = npt.NDArray[np.float64]


def pro_curve(truth: Truth, answer: Answer) -> Points:
    """(POINTS + 1, 2): false positive rates 0 to LIMIT, denser near 0, and the mean overlap of regions there.

    The exact curve of the metric AUPRO, read at these rates. Raises Undefined where AUPRO has no value.
    """
    return sampled(pixel_curve(truth, answer), LIMIT * (np.arange(POINTS + 1) / POINTS) ** 2)


def sampled(curve: Curve, rates: Points) -> Points:
    """(n, 2): `rates` (n,), not decreasing, and the overlap at each: the highest one that the rate allows.

    Level while only normal pixels are added, linear where anomalous and normal pixels share a score.
    """
    wanted = rates * curve.negatives
    found = np.zeros(len(rates))
    covered = 0.0
    for piece in curve.pieces():
        # A score's anomalous pixels begin at false_above and end at false_alarms.
        last = np.searchsorted(piece.false_above, wanted, "right") - 1
        inside = last >= 0
        at = last[inside]
        before = np.where(at > 0, piece.overlap[at - 1], covered)
        passed = wanted[inside] - piece.false_above[at]
        width = piece.false_alarms[at] - piece.false_above[at]
        share = np.divide(passed, width, out=np.ones(len(at)), where=passed < width)
        found[inside] = before + share * (piece.overlap[at] - before)
        covered = float(piece.overlap[-1])
        if piece.false_alarms[-1] > wanted[-1]:
            break
    return np.column_stack([rates, found])
