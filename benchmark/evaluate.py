"""From a prediction and the truth to one value per category and metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ltbench.benchmark import metrics
from ltbench.benchmark.curves import Points, pro_curve
from ltbench.benchmark.errors import BrokenPrediction
from ltbench.benchmark.kept_regions import regions_within
from ltbench.benchmark.maps import MapsOfGrids
from ltbench.benchmark.metrics import Answer, Scratch, Truth, Undefined, Value
from ltbench.benchmark.metrics.blocks.regions import MasksOfRegions
from ltbench.methods.base import Prediction, View
from ltbench.splits.datasets import Dataset
from ltbench.splits.images import LabelledImage
from ltbench.splits.split import Split

MASK_RULE = "> 0, nearest"
"""Rule that resizes masks to the view: the same for every method, neither eroded nor dilated."""
STORED = ("needs", "order", "shown", "unit", "higher_is_better", "curve")
"""Attributes of a metric that its entry in a record has."""


@dataclass(frozen=True)
class CategoryValues:
    """Metric values of one category, and its PRO curve."""

    category: str
    values: Sequence[Value]
    pro: Points | None = None
    """The PRO curve at a bounded size (`ltbench.benchmark.curves`); None unless a metric needs it."""


def metric_facts(view: View, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Facts of the named metrics for a cell's record: all that a report needs to show their values."""
    loaded = {name: metrics.load(name) for name in names}
    return {
        name: {
            "title": metric.title,
            "recipe": metrics.recipe_of(metric, MASK_RULE, str(view)),
            **{fact: getattr(metric, fact) for fact in STORED},
        }
        for name, metric in loaded.items()
    }


def check_prediction(prediction: Prediction, count: int) -> None:
    """Raise BrokenPrediction unless there is one score, and one grid if any, per image."""
    if not isinstance(prediction, Prediction):
        raise BrokenPrediction(
            f"the method returned a '{type(prediction).__name__}': expected ltbench.Prediction(scores, grids)"
        )
    shape = np.shape(prediction.scores)
    if shape != (count,):
        raise BrokenPrediction(
            f"the method returned scores of shape {shape}: expected ({count},), one per test image"
        )
    if prediction.grids is None:
        return
    shape = np.shape(prediction.grids)
    if len(shape) != 3 or shape[0] != count:
        raise BrokenPrediction(f"the method returned grids of shape {shape}: expected ({count}, h, w)")


def evaluate(
    prediction: Prediction,
    split: Split,
    dataset: Dataset,
    view: View,
    *,
    names: Sequence[str],
    kept_regions: Path | None = None,
) -> Iterator[CategoryValues]:
    """Compute the named metrics of each category, with one category in memory at a time.

    `prediction` is in the order of `split.test`. Full maps are made from the patch score grids here, at the
    view's size, so that every method is judged at one resolution. `kept_regions` is a folder for regions of
    masks that later cells will need again.
    """
    check_prediction(prediction, len(split.test))
    by_category: dict[str, list[int]] = {category: [] for category in split.categories}
    for index, image in enumerate(split.test):
        by_category[image.category].append(index)
    scratch = Scratch()
    scores = np.asarray(prediction.scores, dtype=np.float32)
    good_scores = [
        scores[[index for index in indices if not split.test[index].is_defective]]
        for indices in by_category.values()
    ]
    has_curve = any(metrics.load(name).curve for name in names)
    for category, indices in by_category.items():
        images = [split.test[index] for index in indices]
        truth = category_truth(images, dataset, view, kept_regions)
        answer = replace(category_answer(prediction, indices, view, scratch), good_scores=good_scores)
        values = metrics.evaluate(truth, answer, names)
        yield CategoryValues(category, values, _pro(truth, answer) if has_curve else None)


def _pro(truth: Truth, answer: Answer) -> Points | None:
    try:
        return pro_curve(truth, answer)
    except Undefined:
        return None


def category_truth(
    images: Sequence[LabelledImage], dataset: Dataset, view: View, kept_regions: Path | None = None
) -> Truth:
    """Labels and, where every defective image has one, masks within the view."""
    labels = np.array([image.is_defective for image in images], dtype=bool)
    without = [image.path for image in images if image.is_defective and not image.mask]
    if without:
        why = f"{len(without)} of {int(labels.sum())} defective images have no mask"
        return Truth(labels=labels, masks=None, why_no_masks=why, mask_rule=MASK_RULE, view=str(view))
    regions = regions_within(view, images, dataset, kept_regions)
    return Truth(
        labels=labels,
        masks=MasksOfRegions(regions, (len(images), view.crop, view.crop)),
        known_regions=regions,
        mask_rule=MASK_RULE,
        view=str(view),
    )


def category_answer(
    prediction: Prediction, indices: Sequence[int], view: View, scratch: Scratch | None = None
) -> Answer:
    """Scores and full-resolution maps of some of the images; `scratch` spares the pages of the next sort."""
    scores = np.asarray(prediction.scores, dtype=np.float32)[indices]
    if prediction.grids is None:
        return Answer(scores=scores, maps=None)
    maps = MapsOfGrids(prediction.grids[indices], view.crop, prediction.post)
    return Answer(scores=scores, maps=maps, scratch=scratch)
