"""What is left of each category's recall when all categories share one threshold.

A line that runs one model over many products has one alarm level. If a method gives rare products other
scores than frequent ones, a level that keeps false alarms low everywhere misses the rare products' defects,
and no per-category AUROC shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ltbench.benchmark.metrics.base import Bools, Floats
from ltbench.benchmark.metrics.pooled import Category, heap


@dataclass(frozen=True)
class AtThreshold:
    """One category at its own threshold and at the shared ones."""

    name: str
    group: str
    good: int
    defective: int
    own_threshold: float
    """Lowest one that keeps this category's false alarms; an image is flagged if its score is higher."""
    own_recall: float
    shared_recall: float
    """At the highest of all categories' own thresholds: false alarms are kept on each."""
    pooled_recall: float
    """At the threshold that keeps false alarms over all good images in one heap."""
    pooled_false_alarms: float
    """This category's flagged share of good images there; far from the rate, scores are not comparable."""


@dataclass(frozen=True)
class Calibration:
    """All categories at one false alarm rate."""

    false_alarm_rate: float
    shared_threshold: float
    pooled_threshold: float
    categories: tuple[AtThreshold, ...]

    def mean_recall(self, group: str | None = None) -> dict[str, float]:
        """Mean over the categories of `group` (default all) of the own, shared and pooled recall.

        Raises ValueError if no category is in the group.
        """
        members = [each for each in self.categories if group is None or each.group == group]
        if not members:
            raise ValueError(f"no category is in group '{group}'")
        return {
            name: float(np.mean([getattr(each, f"{name}_recall") for each in members]))
            for name in ("own", "shared", "pooled")
        }


def calibration(categories: Sequence[Category], false_alarm_rate: float = 0.01) -> Calibration:
    """Recall of each category at own, shared and pooled thresholds that flag at most a share of good images.

    With n good images ⌊rate·n⌋ may be flagged, none where n is below 1/rate. Raises Undefined as `heap` does.
    """
    scores, labels, member = heap(categories)
    parts = [(scores[member == number], labels[member == number]) for number in range(len(categories))]
    own = [lowest_threshold(values[~defective], false_alarm_rate) for values, defective in parts]
    shared = max(own)
    pooled = lowest_threshold(scores[~labels], false_alarm_rate)
    rows = tuple(
        AtThreshold(
            name=category.name,
            group=category.group,
            good=int((~defective).sum()),
            defective=int(defective.sum()),
            own_threshold=threshold,
            own_recall=_share_above(values, defective, threshold),
            shared_recall=_share_above(values, defective, shared),
            pooled_recall=_share_above(values, defective, pooled),
            pooled_false_alarms=_share_above(values, ~defective, pooled),
        )
        for category, (values, defective), threshold in zip(categories, parts, own, strict=True)
    )
    return Calibration(false_alarm_rate, shared, pooled, rows)


def lowest_threshold(good: Floats, false_alarm_rate: float) -> float:
    """The lowest of the `good` images' scores that no more than a share of them exceed."""
    allowed = int(np.floor(false_alarm_rate * len(good)))
    return float(np.sort(good)[::-1][min(allowed, len(good) - 1)])


def _share_above(scores: Floats, chosen: Bools, threshold: float) -> float:
    return float(np.mean(scores[chosen] > threshold))
