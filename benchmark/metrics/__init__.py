"""Metrics by name: the folder is the registry, one module a metric."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import lru_cache

from ltbench.benchmark.metrics.base import Answer, Metric, Scratch, Truth, Undefined, Value
from ltbench.splits.errors import UnknownName

__all__ = [
    "STANDARD",
    "Answer",
    "Metric",
    "Scratch",
    "Truth",
    "Undefined",
    "Value",
    "evaluate",
    "load",
    "names",
    "recipe_of",
]

STANDARD = ("image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")
"""The columns of every board, in order; the other metrics are extensions."""

# Modules of this folder that serve the metrics and are none themselves.
_SHARED = {
    "base",
    "curve",
    "histogram",
    "image_curve",
    "legacy",
    "pixel_curve",
    "pooled",
    "positives",
    "region_recall",
    "regions",
    "spill",
    "streaming",
    "tensor_curve",
    "threshold",
}


def names() -> list[str]:
    """Names of all metrics: the standard ones in a table's order, then the extensions by name."""
    return list(_names())


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    # Asked for once per category and metric.
    found = {module.name for module in pkgutil.iter_modules(__path__)} - _SHARED
    return (*STANDARD, *sorted(found - set(STANDARD)))


def load(name: str) -> Metric:
    """The metric called `name`. Raises UnknownName."""
    if name not in names():
        raise UnknownName("metric", name, names())
    metric: Metric = importlib.import_module(f"ltbench.benchmark.metrics.{name}").METRIC
    return metric


def evaluate(truth: Truth, answer: Answer, metrics: Iterable[str] = STANDARD) -> list[Value]:
    """The value of each metric for one category, in the given order; a hole carries its reason, never 0.

    Metrics that need the same pass over the pixels share it. Raises UnknownName.
    """
    return [_value(name, load(name), truth, answer) for name in metrics]


def recipe_of(metric: Metric, mask_rule: str, view: str) -> str:
    """The recipe id on a value: a pixel metric's also says how masks were made and what was judged."""
    if metric.needs != "maps":
        return metric.recipe
    return f"{metric.recipe}; mask {mask_rule}" + (f"; view {view}" if view else "")


def _value(name: str, metric: Metric, truth: Truth, answer: Answer) -> Value:
    recipe = recipe_of(metric, truth.mask_rule, truth.view)
    try:
        value = metric.compute(truth, answer)
    except Undefined as reason:
        return Value(name, recipe, None, str(reason))
    note = ""
    if metric.needs == "maps" and truth.empty_masks:
        note = f"{truth.empty_masks} defective images have an empty mask; their pixels count as normal"
    return Value(name, recipe, value, note=note)
