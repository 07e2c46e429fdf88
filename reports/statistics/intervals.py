"""Confidence intervals: of image metrics from resampled images, of an aggregate from its seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import special, stats

from ltbench.reports.statistics.image_metrics import IMAGE_METRICS, image_metrics
from ltbench.reports.statistics.resampling import Bools, Draws, Floats, LeftOut, left_out

LEVEL = 0.95
INTERVALS = ("category", "metric", "value", "ci_low", "ci_high", "why")
"""Columns of `image_intervals`."""
_FEWEST_IMAGES = 2
_SAME = 1e-6


@dataclass(frozen=True)
class Interval:
    """Both ends, or NaN and why there are none."""

    low: float
    high: float
    why: str = ""


def image_intervals(scores: pd.DataFrame, draws: Draws, level: float = LEVEL) -> pd.DataFrame:
    """Intervals of the image metrics of each category from one cell's scores; columns INTERVALS.

    `scores` has columns of `ltbench.results.schema.SCORES`. Images are drawn within their category, good and
    defective ones apart. Keep one `draws` for all cells: it remembers what it has drawn. Values are those of
    the data.
    """
    rows = []
    ordered = scores.sort_values(["category", "key"], kind="stable")
    for name, images in ordered.groupby("category", sort=True):
        values = images["score"].to_numpy(dtype=np.float64)
        found = category_intervals(values, images["label"].to_numpy(dtype=bool), draws, level)
        rows += [(name, metric, value, ci.low, ci.high, ci.why) for metric, (value, ci) in found.items()]
    return pd.DataFrame(rows, columns=list(INTERVALS))


def category_intervals(
    scores: Floats, labels: Bools, draws: Draws, level: float = LEVEL
) -> dict[str, tuple[float, Interval]]:
    """Value and interval of each image metric; scores and labels are (N,), True = defective."""
    lacking = _lacking(scores, labels)
    if lacking:
        return {name: (math.nan, _none(lacking)) for name in IMAGE_METRICS}
    points = {
        name: float(v[0]) for name, v in image_metrics(scores, labels, np.ones((len(labels), 1))).items()
    }
    fewest = int(min(labels.sum(), (~labels).sum()))
    if points["image_auroc"] in (0.0, 1.0):
        auroc = separated(points["image_auroc"], fewest, level)
        other = _none("no good image scores among the defective ones: all resamples are equal")
        return {name: (points[name], auroc if name == "image_auroc" else other) for name in IMAGE_METRICS}
    if fewest < _FEWEST_IMAGES:
        return {name: (points[name], _none("a single image cannot be resampled")) for name in IMAGE_METRICS}
    without = left_out(labels)
    drawn = image_metrics(scores, labels, draws.weights(labels))
    jackknife = image_metrics(scores, labels, without.weights)
    return {
        name: (points[name], bca(drawn[name], points[name], jackknife[name], without, level))
        for name in IMAGE_METRICS
    }


def bca(values: Floats, point: float, jackknife: Floats, without: LeftOut, level: float = LEVEL) -> Interval:
    """Bias-corrected and accelerated bootstrap interval (Efron, JASA 1987) of a statistic of two samples.

    values: (B,) of the resamples; point: of the data; jackknife: (groups,) with the images of `without` left
    out.
    """
    # Resamples often give the very value of the data, up to the single precision of their weights.
    above = values - point
    share = (np.sum(above < -_SAME) + np.sum(np.abs(above) <= _SAME) / 2) / len(values)
    if not 0 < share < 1:
        return _none("all resamples lie on one side of the value")
    bias = special.ndtri(share)
    cubes = squares = 0.0
    for kind in (False, True):
        part, sizes = jackknife[without.kinds == kind], without.sizes[without.kinds == kind]
        images = sizes.sum()
        # A group's influence weighs as many images as it has; with one image each it is (n - 1)(mean - part).
        influence = (images - sizes) * (part.mean() - part) / images
        cubes += float(np.sum(influence**3))
        squares += float(np.sum(influence**2))
    acceleration = cubes / (6 * squares**1.5) if squares > 0 else 0.0
    normal = bias + special.ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.quantile(values, special.ndtr(bias + normal / (1 - acceleration * normal)))
    return Interval(float(low), float(high))


def separated(auroc: float, pairs: int, level: float = LEVEL) -> Interval:
    """Interval of an AUROC of 1 (or 0): all resamples are equal, without information.

    `pairs` pairs of one good and one defective image that share no image are independent trials, each won
    with the probability that AUROC estimates. All were won (lost): exact one-sided binomial bound,
    conservative since it uses few of all pairs.
    """
    bound = stats.binomtest(pairs, pairs, alternative="greater").proportion_ci(level).low
    return Interval(bound, 1.0) if auroc == 1.0 else Interval(0.0, 1 - bound)


def seed_interval(mean: float, sd: float, seeds: int, level: float = LEVEL) -> tuple[float, float]:
    """Student's interval of a mean over two or more seeds, within [0, 1]: where other splits would bring it.

    Three to five seeds are too few to resample: a bootstrap of five values covers four times in five, not 95
    %.
    """
    half = _student(level, seeds - 1) * sd / math.sqrt(seeds)
    return max(0.0, mean - half), min(1.0, mean + half)


@lru_cache
def _student(level: float, degrees: int) -> float:
    return float(stats.t.ppf((1 + level) / 2, degrees))


def _none(why: str) -> Interval:
    return Interval(math.nan, math.nan, why)


def _lacking(scores: Floats, labels: Bools) -> str:
    if not np.isfinite(scores).all():
        return "a score is not finite"
    if labels.all() or not labels.any():
        return "no good image" if labels.any() else "no defective image"
    return ""
