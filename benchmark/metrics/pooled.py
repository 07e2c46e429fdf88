"""Image metrics over several categories at once: what one model with one scale of scores is worth.

The mean of per-category values cannot see that one category's good images score above another's defects.
Pooling all images can. Plain pooling lets large test sets decide; balanced pooling gives each category a say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Answer, Bools, Floats, Truth, Undefined, Value
from ltbench.benchmark.metrics.curve import auroc
from ltbench.benchmark.metrics.image_curve import curve_of_scores

Measure = Callable[[Sequence["Category"]], float]


@dataclass(frozen=True)
class Category:
    """One category's truth and answer, and the group of categories that it is in."""

    name: str
    truth: Truth
    answer: Answer
    group: str = ""
    """ "head", "tail", "high", "low" or ""."""


def pooled_auroc(categories: Sequence[Category]) -> float:
    """AUROC of the images of all categories in one heap. Raises Undefined as `require_scores` does."""
    scores, labels, _ = heap(categories)
    return auroc(curve_of_scores(scores, labels))


def balanced_auroc(categories: Sequence[Category]) -> float:
    """AUROC of one heap in which each category's good images weigh one together, and its defective ones too.

    The probability that a defective image of a random category scores above a good one of a random category,
    ties counting one half. Raises Undefined as `require_scores` does.
    """
    scores, labels, member = heap(categories)
    weight = 1.0 / np.bincount(2 * member + labels)[2 * member + labels]
    distinct, place = np.unique(scores, return_inverse=True)
    anomalous = np.bincount(place[labels], weight[labels], minlength=len(distinct))
    normal = np.bincount(place[~labels], weight[~labels], minlength=len(distinct))
    below = np.cumsum(normal) - normal
    return float(np.dot(anomalous, below + normal / 2)) / len(categories) ** 2


def heap(categories: Sequence[Category]) -> tuple[Floats, Bools, npt.NDArray[np.int64]]:
    """Scores, labels and number of the category of all images.

    Raises Undefined, naming the category, if scores are unfit or a category has images of one class only.
    """
    if not categories:
        raise Undefined("no category")
    parts = []
    for number, category in enumerate(categories):
        labels = category.truth.labels
        try:
            scores = category.answer.require_scores(category.truth)
        except Undefined as reason:
            raise Undefined(f"{category.name}: {reason}") from reason
        if labels.all() or not labels.any():
            missing = "good" if labels.all() else "defective"
            raise Undefined(f"{category.name}: no {missing} image: one class only")
        parts.append((scores, labels, np.full(len(labels), number)))
    scores, labels, member = (np.concatenate(part) for part in zip(*parts, strict=True))
    return scores, labels, member


RECIPES: dict[str, tuple[str, Measure]] = {
    "image_auroc_pooled": ("exact, ties one half; all images of the group in one heap", pooled_auroc),
    "image_auroc_balanced": ("exact, ties one half; one heap, categories of equal weight", balanced_auroc),
}


def evaluate_pooled(categories: Iterable[Category]) -> dict[str, list[Value]]:
    """Pooled values of each group and, under "all", of all categories."""
    known = list(categories)
    groups = {"all": known}
    for category in known:
        if category.group:
            groups.setdefault(category.group, []).append(category)
    return {group: [_value(name, members) for name in RECIPES] for group, members in groups.items()}


def _value(name: str, members: Sequence[Category]) -> Value:
    recipe, measure = RECIPES[name]
    try:
        return Value(name, recipe, measure(members))
    except Undefined as reason:
        return Value(name, recipe, None, str(reason))
