"""Pixel metrics over the images that have anomalous pixels, good images left out."""

from __future__ import annotations

from collections.abc import Callable

from ltbench.benchmark.metrics.base import Answer, Truth
from ltbench.benchmark.metrics.curve import Curve
from ltbench.benchmark.metrics.pixel_curve import curve_of_maps
from ltbench.benchmark.metrics.regions import label_regions


def on_anomalous_images(measure: Callable[[Curve], float]) -> Callable[[Truth, Answer], float]:
    """`measure` of the curve over those images alone."""
    return lambda truth, answer: measure(answer.once(truth, anomalous_curve))


def anomalous_curve(truth: Truth, answer: Answer) -> Curve:
    """Curve over the pixels of the images with a non-empty mask."""
    maps, masks = answer.require_arrays(truth, "a legacy recipe")
    shown = truth.regions.pixels_of_image > 0
    return curve_of_maps(maps[shown], label_regions(masks[shown]))
