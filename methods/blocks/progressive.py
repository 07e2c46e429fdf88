"""Progressive selection of MeDS (arXiv 2605.26676, eq. 11-13): the images that still count as normal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltbench.methods.errors import BadParameter

Floats = npt.NDArray[np.floating]
Rounding = Literal["ceil", "floor"]
Median = Literal["lower", "mean"]


def top_count(patches: int, percent: float, rounding: Rounding = "ceil") -> int:
    """Number of patches that make up `percent` % of `patches`, at least one.

    >>> top_count(784, 1.0, "ceil"), top_count(784, 1.0, "floor")
    (8, 7)
    """
    if not 0 < percent <= 100:
        raise BadParameter(f"the share of top patches is {percent} %: expected more than 0 and at most 100")
    if rounding not in ("ceil", "floor"):
        raise BadParameter(f"unknown rounding '{rounding}' of the top patches: expected 'ceil' or 'floor'")
    # 7 * 100 / 700 must not become 8 by the last bit of a product.
    share = round(percent * patches / 100, 9)
    return max(1, math.ceil(share) if rounding == "ceil" else math.floor(share))


def robust_maximum(grids: Floats, percent: float, rounding: Rounding = "ceil") -> Floats:
    """Mean of the largest `percent` % of each image's patch scores (eq. 13): (N, ...) -> (N,)."""
    flat = grids.reshape(len(grids), -1)
    count = top_count(flat.shape[1], percent, rounding)
    largest: Floats = np.partition(flat, -count, axis=1)[:, -count:].mean(axis=1)
    return largest


def median_of(values: Floats, kind: Median) -> float:
    """Median; for an even count the lower middle value ("lower", as torch.median) or the mean of both.

    >>> median_of(np.array([1.0, 2.0, 4.0, 8.0]), "lower"), median_of(np.array([1.0, 2.0, 4.0, 8.0]), "mean")
    (2.0, 3.0)
    """
    if kind not in ("lower", "mean"):
        raise BadParameter(f"unknown median '{kind}': expected 'lower' or 'mean'")
    ordered = np.sort(values)
    lower = ordered[(len(ordered) - 1) // 2]
    return float(lower) if kind == "lower" else float((lower + ordered[len(ordered) // 2]) / 2)


@dataclass(frozen=True)
class Selection:
    """Rule by which images are kept for training at a given time of the training."""

    critical: float = 1.0
    """k of eq. 12: median absolute deviations above the median at which the threshold ends."""
    median: Median = "lower"
    """Median of an even number of values, see `median_of`."""
    least: int = 0
    """Smallest number of images to keep in each group, those with the lowest criterion first."""

    def blend(self, moment: float) -> float:
        """Weight alpha_t of the current scores (eq. 11) at `moment` = t / T."""
        return min(1.0, 2 * moment)

    def threshold(self, criterion: Floats, moment: float) -> float:
        """Threshold tau_t of one group (eq. 12) at `moment` = t / T."""
        middle = median_of(criterion, self.median)
        spread = median_of(np.abs(criterion - middle), self.median)
        return middle + self.critical * moment * spread

    def keep(self, criterion: Floats, moment: float) -> npt.NDArray[np.bool_]:
        """Flag the images (N,) of one group strictly below the threshold, or else the `least` lowest."""
        kept: npt.NDArray[np.bool_] = criterion < self.threshold(criterion, moment)
        if kept.sum() < self.least:
            kept[np.argsort(criterion, kind="stable")[: self.least]] = True
        return kept

    def select(
        self, initial: Floats, current: Floats, groups: npt.NDArray[np.integer], moment: float
    ) -> npt.NDArray[np.bool_]:
        """Select the images to train on.

        Args:
            initial: (N,) robust maxima under the distilled model.
            current: (N,) robust maxima under the current model.
            groups: (N,) class of each image, or class and view; each group has its own threshold.
            moment: Elapsed share of the training, t / T.

        Returns:
            Flags (N,).
        """
        alpha = self.blend(moment)
        criterion = (1 - alpha) * initial + alpha * current
        kept = np.zeros(len(criterion), bool)
        for group in np.unique(groups):
            members = groups == group
            kept[members] = self.keep(criterion[members], moment)
        return kept
