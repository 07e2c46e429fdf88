"""Metrics by name: a metric is one module of this folder, of an installed package or of a person's folder."""

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
"""Each is a module with a `METRIC`."""


def names() -> list[str]:
    """Names of all metrics in a table's order."""
    return list(_in_order(tuple(METRICS.names())))


def standard() -> tuple[str, ...]:
    """Names of the metrics that are measured unless others are asked for, in a table's order."""
    return _shown(tuple(names()))


def load(name: str) -> Metric:
    """The metric called `name`. Raises UnknownName, or PluginError if it cannot be loaded."""
    metric: Metric = METRICS.load(name)
    digest = METRICS.digest(name)
    # A loose file has no version: values of two states of it are not of one recipe.
    return replace(metric, recipe=f"{metric.recipe}; file {digest[:10]}") if digest else metric


def select(asked: str | Iterable[str]) -> tuple[str, ...]:
    """Names of the metrics that a person asked for, each once, in a table's order.

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
    """The value of each metric for one category, in the given order; a hole carries its reason, never 0.

    Metrics that need the same pass over the pixels share it. `metrics` are names, by default the standard
    ones. Raises UnknownName.
    """
    return [_value(name, load(name), truth, answer) for name in (standard() if metrics is None else metrics)]


def recipe_of(metric: Metric, mask_rule: str, view: str) -> str:
    """The recipe id on a value: a pixel metric's also says how masks were made and what was judged."""
    if metric.needs != "maps":
        return metric.recipe
    return f"{metric.recipe}; mask {mask_rule}" + (f"; view {view}" if view else "")


# Kept, since both load every metric and are asked for once per cell.
@lru_cache
def _in_order(chosen: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(chosen, key=lambda name: (load(name).order, name)))


@lru_cache
def _shown(known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in known if load(name).shown)


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
