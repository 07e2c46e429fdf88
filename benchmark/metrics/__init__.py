"""Metrics by name: each is one module of this folder, of an installed package or of a plug-in folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from ltbench.benchmark.metrics.base import Answer, Metric, Scratch, Truth, Undefined, Value
from ltbench.benchmark.selection import select_names
from ltbench.registry import Registry

__all__ = [
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
    "select",
    "standard",
]

METRICS = Registry("metric", __name__, group="metrics", attribute="METRIC", shared=frozenset({"base"}))
"""Registry of metrics; each is a module with a `METRIC`."""


def names() -> list[str]:
    """Names of all metrics, in the order of table columns."""
    return list(_in_order(tuple(METRICS.names())))


def standard() -> tuple[str, ...]:
    """Names of the metrics computed by default, in the order of table columns."""
    return _shown(tuple(names()))


def load(name: str) -> Metric:
    """Load the metric called `name`. Raises UnknownName, or PluginError if it cannot be loaded."""
    metric: Metric = METRICS.load(name)
    digest = METRICS.digest(name)
    # A plug-in file has no version; its digest separates values of its different states.
    return replace(metric, recipe=f"{metric.recipe}; file {digest[:10]}") if digest else metric


def select(asked: str | Iterable[str]) -> tuple[str, ...]:
    """Select metrics by name, each once, in the order of table columns.

    Args:
        asked: a comma list, or several texts, of names, globs, "standard" and "all".

    Raises:
        UsageError: nothing is asked for, or a part of the list matches no metric.
    """
    known = names()
    parts = (asked if isinstance(asked, str) else ",".join(asked)).split(",")
    words = {"all": "*", "standard": ",".join(standard())}
    text = ",".join(words.get(part.strip(), part) for part in parts)
    return _in_order(tuple(select_names(text, known, "metric")))


def evaluate(truth: Truth, answer: Answer, metrics: Iterable[str] | None = None) -> list[Value]:
    """Compute metrics of one category.

    Metrics that need the same pass over the pixels share it.

    Args:
        truth: Ground truth of the test images.
        answer: Scores and maps of a method.
        metrics: Names of metrics; None = the standard ones.

    Returns:
        One value per metric, in the given order; an undefined value is None with its reason, never 0.

    Raises:
        UnknownName: For an unknown metric.
    """
    return [_value(name, load(name), truth, answer) for name in (standard() if metrics is None else metrics)]


def recipe_of(metric: Metric, mask_rule: str, view: str) -> str:
    """Recipe stored with a value; a pixel metric's includes the mask rule and the evaluated view."""
    if metric.needs != "maps":
        return metric.recipe
    return f"{metric.recipe}; mask {mask_rule}" + (f"; view {view}" if view else "")


# Cached, since both load every metric and are called once per cell.
@lru_cache
def _in_order(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Sort names of metrics by the order of their columns."""
    return tuple(sorted(chosen, key=lambda name: (load(name).order, name)))


@lru_cache
def _shown(known: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the metrics that are computed by default."""
    return tuple(name for name in known if load(name).shown)


def _value(name: str, metric: Metric, truth: Truth, answer: Answer) -> Value:
    """Compute one metric, or the reason why it is undefined."""
    recipe = recipe_of(metric, truth.mask_rule, truth.view)
    try:
        value = metric.compute(truth, answer)
    except Undefined as reason:
        lost = _all_lost(truth) if metric.needs == "maps" else ""
        return Value(name, recipe, None, lost or str(reason))
    note = ""
    if metric.needs == "maps" and truth.empty_masks:
        note = f"{truth.empty_masks} defective images have an empty mask; their pixels count as normal"
    return Value(name, recipe, value, note=note)


def _all_lost(truth: Truth) -> str:
    """Explain that all defects lie outside the view; "" if some mask is left or none was lost."""
    defects = int(truth.labels.sum())
    try:
        if truth.view and defects and truth.masks is not None and truth.empty_masks == defects:
            return f"all {defects} defects are lost in the view {truth.view}"
    except Undefined:
        pass
    return ""
