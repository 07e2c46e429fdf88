"""Progressive selection of MeDS (arXiv 2605.26676, eq. 11-13): which images still count as normal."""

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
    """How many patches `percent` of so many are, at least one: 1 % of 784 is 8 by "ceil", 7 by "floor"."""
    if not 0 < percent <= 100:
        raise BadParameter(f"the share of top patches is {percent} %: expected more than 0 and at most 100")
    if rounding not in ("ceil", "floor"):
        raise BadParameter(f"unknown rounding '{rounding}' of the top patches: expected 'ceil' or 'floor'")
    # 7 * 100 / 700 must not become 8 by the last bit of a product.
    share = round(percent * patches / 100, 9)
    return max(1, math.ceil(share) if rounding == "ceil" else math.floor(share))


def robust_maximum(grids: Floats, percent: float, rounding: Rounding = "ceil") -> Floats:
    """Mean of the largest `percent` of each image's patch scores (eq. 13): (N, ...) -> (N,)."""
    flat = grids.reshape(len(grids), -1)
    count = top_count(flat.shape[1], percent, rounding)
    largest: Floats = np.partition(flat, -count, axis=1)[:, -count:].mean(axis=1)
    return largest


def median_of(values: Floats, kind: Median) -> float:
    """The middle value; of an even number the lower of the two ("lower", as torch.median) or their mean."""
    if kind not in ("lower", "mean"):
        raise BadParameter(f"unknown median '{kind}': expected 'lower' or 'mean'")
    ordered = np.sort(values)
    lower = ordered[(len(ordered) - 1) // 2]
    return float(lower) if kind == "lower" else float((lower + ordered[len(ordered) // 2]) / 2)


@dataclass(frozen=True)
class Selection:
    """The rule by which images are kept at a moment of the training."""

    critical: float = 1.0
    """k of eq. 12: how many median absolute deviations above the median are kept in the end."""
    median: Median = "lower"
    least: int = 0
    """Images of each group that are kept in any case, the least suspicious first."""

    def blend(self, moment: float) -> float:
        """alpha_t of eq. 11, for `moment` = t / T."""
        return min(1.0, 2 * moment)

    def threshold(self, criterion: Floats, moment: float) -> float:
        """tau_t of eq. 12 over one group."""
        middle = median_of(criterion, self.median)
        spread = median_of(np.abs(criterion - middle), self.median)
        return middle + self.critical * moment * spread

    def keep(self, criterion: Floats, moment: float) -> npt.NDArray[np.bool_]:
        """Which images of one group are strictly below the threshold, and the `least` lowest anyway: (N,)."""
        kept: npt.NDArray[np.bool_] = criterion < self.threshold(criterion, moment)
        if kept.sum() < self.least:
            kept[np.argsort(criterion, kind="stable")[: self.least]] = True
        return kept

    def select(
        self, initial: Floats, current: Floats, groups: npt.NDArray[np.integer], moment: float
    ) -> npt.NDArray[np.bool_]:
        """Which images to train on now: (N,).

        initial, current: (N,) robust maxima under the distilled and the present model. groups: (N,) class
        of each image (or class and view): each has a threshold of its own.
        """
        alpha = self.blend(moment)
        criterion = (1 - alpha) * initial + alpha * current
        kept = np.zeros(len(criterion), bool)
        for group in np.unique(groups):
            members = groups == group
            kept[members] = self.keep(criterion[members], moment)
        return kept
