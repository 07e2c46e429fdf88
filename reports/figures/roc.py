"""ROC curves from image scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ltbench.reports.figures import theme
from ltbench.reports.figures.rates import RateCurve, rate_figure


def roc_curves(
    curves: Sequence[RateCurve],
    *,
    title: str,
    subtitle: str = "",
    order: Sequence[str] = (),
    width: float = theme.WIDTH,
) -> str:
    """True against false positive rate of each curve (`roc_points`), with its area in percent in the
    legend."""
    return rate_figure(
        curves,
        title=title,
        subtitle=subtitle,
        labels=("false positive rate (%)", "true positive rate (%)"),
        limit=1.0,
        order=order,
        width=width,
    )


def roc_points(name: str, scores: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_]) -> RateCurve:
    """The curve of scores (N,), higher = more anomalous, and labels (N,), True = defective; both are needed.

    Tied images move it together, so that its area is the AUROC that counts a tie as half.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    found = np.concatenate([[0], np.cumsum(labels[order])[ends]]) / labels.sum()
    alarms = np.concatenate([[0], np.cumsum(~labels[order])[ends]]) / (~labels).sum()
    return RateCurve(name, alarms, found, float(np.trapezoid(found, alarms)))
