"""Per-region overlap curves from anomaly maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ltbench.reports.figures import theme
from ltbench.reports.figures.rates import RateCurve, rate_figure

LIMIT = 0.3
"""False positive rate at which AUPRO is cut, by convention."""


def pro_curves(
    curves: Sequence[RateCurve],
    *,
    title: str,
    subtitle: str = "",
    limit: float = LIMIT,
    order: Sequence[str] = (),
    width: float = theme.WIDTH,
) -> str:
    """Mean covered share of defect regions against the pixel false positive rate (`pro_points`)."""
    return rate_figure(
        curves,
        title=title,
        subtitle=subtitle,
        labels=("pixel false positive rate (%)", "per-region overlap (%)"),
        limit=limit,
        order=order,
        width=width,
    )


def pro_points(
    name: str, maps: npt.NDArray[np.floating], masks: npt.NDArray[np.bool_], limit: float = LIMIT
) -> RateCurve:
    """The exact curve of maps and masks (N, H, W): a point per distinct score of a pixel.

    Regions are 8-connected. The area is over false positive rates up to `limit`, divided by `limit`. Both
    kinds of pixels are needed.
    """
    share = np.zeros(masks.shape)
    regions = 0
    for image, mask in enumerate(masks):
        labelled, count = ndimage.label(mask, structure=np.ones((3, 3)))
        sizes = np.bincount(labelled.ravel())
        share[image][mask] = 1 / sizes[labelled[mask]]
        regions += count
    order = np.argsort(-maps, axis=None, kind="stable")
    scores, normal = maps.ravel()[order], ~masks.ravel()[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    covered = np.concatenate([[0], np.cumsum(share.ravel()[order])[ends]]) / regions
    alarms = np.concatenate([[0], np.cumsum(normal)[ends]]) / normal.sum()
    inside = alarms <= limit
    across = np.append(alarms[inside], limit)
    upward = np.append(covered[inside], np.interp(limit, alarms, covered))
    return RateCurve(name, alarms, covered, float(np.trapezoid(upward, across) / limit))
