"""Recipes of published tables, by name, on the same maps: to explain a difference, never to rank.

Each one reproduces how a public evaluation code arrives at its number, with that code's quirks;
`docs/metrics.md` shows how far they lie from the exact value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ltbench.benchmark.metrics import curve
from ltbench.benchmark.metrics.base import Answer, Truth, Undefined, Value
from ltbench.benchmark.metrics.image_curve import image_curve
from ltbench.benchmark.metrics.legacy import anomalib, binned, subset, thresholds
from ltbench.benchmark.metrics.pixel_curve import pixel_curve
from ltbench.splits.errors import UnknownName

Compute = Callable[[Truth, Answer], float]


@dataclass(frozen=True)
class Recipe:
    """How one public code computes some of the standard metrics."""

    source: str
    """Where the code is."""
    quirk: str
    """What makes it differ from the exact value, as a sentence."""
    computes: Mapping[str, Compute]
    """Standard metric that the number is printed as -> how it is made."""


def flipped(value: float) -> float:
    """`value`, or one minus it where that is more."""
    return max(value, 1 - value)


RECIPES: Mapping[str, Recipe] = {
    "mvtec-exact": Recipe(
        source="mvtec.com, evaluation code of MVTec AD",
        quirk="Every threshold, as here; the original sums false positive rates in float32 (some 1e-10).",
        computes={"aupro": lambda truth, answer: curve.area_under_overlap(pixel_curve(truth, answer), 0.3)},
    ),
    "mvtec-200": Recipe(
        source="mvtec.com, evaluation code of MVTec 3D-AD (there 100 thresholds unless told otherwise)",
        quirk="200 thresholds at equal steps of the false positive rate, ties of normal pixels ignored.",
        computes={"aupro": lambda truth, answer: thresholds.aupro_at_quantiles(truth, answer, 200)},
    ),
    "cflow-200-linear": Recipe(
        source="github.com/gudovskiy/cflow-ad train.py; so in AnomalyCLIP metrics.py and ADer's compute_pro",
        quirk="200 thresholds at equal steps of the score, cut below FPR 0.3, the rates left stretched to "
        "[0, 1]: a transform of the scores or one outlier moves the value by tens of points.",
        computes={"aupro": lambda truth, answer: thresholds.aupro_at_equal_scores(truth, answer, 200)},
    ),
    "anomalib<=2.2": Recipe(
        source="github.com/open-edge-platform/anomalib src/anomalib/metrics/aupro.py, releases up to 2.2",
        quirk="Each region's curve is resampled by position, the area divided by the mean end point, and "
        "scores outside [0, 1] pass a float32 sigmoid: values above 1 occur.",
        computes={"aupro": anomalib.aupro},
    ),
    "adeval-200": Recipe(
        source="pypi.org/project/ADEval with nstrips=200, as INP-Former and Dinomaly call it",
        quirk="200 bins of equal width, trapezoids between them, also for the average precision.",
        computes={
            "pixel_auroc": lambda truth, answer: binned.auroc(truth, answer, 200),
            "pixel_ap": lambda truth, answer: binned.average_precision(truth, answer, 200),
            "aupro": lambda truth, answer: binned.aupro(truth, answer, 200),
        },
    ),
    "anomalous-images-only": Recipe(
        source="github.com/amazon-science/patchcore-inspection bin/run_patchcore.py, its third AUROC",
        quirk="Good images are left out: fewer and other false alarms.",
        computes={
            "pixel_auroc": subset.on_anomalous_images(curve.auroc),
            "pixel_ap": subset.on_anomalous_images(curve.average_precision),
            "aupro": subset.on_anomalous_images(lambda found: curve.area_under_overlap(found, 0.3)),
        },
    ),
    "auroc-flip": Recipe(
        source="github.com/zhiyuanyou/UniAD utils/eval_helper.py",
        quirk="An AUROC below one half is reported as one minus it: worse than chance looks better.",
        computes={
            "image_auroc": lambda truth, answer: flipped(curve.auroc(image_curve(truth, answer))),
            "pixel_auroc": lambda truth, answer: flipped(curve.auroc(pixel_curve(truth, answer))),
        },
    ),
}


def names() -> list[str]:
    """Names of all legacy recipes."""
    return list(RECIPES)


def evaluate_legacy(truth: Truth, answer: Answer, recipes: Iterable[str] | None = None) -> list[Value]:
    """Values of one category by each recipe (default all), `recipe` of a value being "legacy: NAME".

    Raises UnknownName.
    """
    found = []
    for name in RECIPES if recipes is None else recipes:
        if name not in RECIPES:
            raise UnknownName("legacy recipe", name, RECIPES)
        for metric, compute in RECIPES[name].computes.items():
            try:
                found.append(Value(metric, f"legacy: {name}", compute(truth, answer)))
            except Undefined as reason:
                found.append(Value(metric, f"legacy: {name}", None, str(reason)))
    return found
