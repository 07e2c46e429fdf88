"""One drawing of every figure, small, crowded and empty: what all figures have to be is checked on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ltbench.reports.figures.class_sizes import ClassSize, class_sizes
from ltbench.reports.figures.cost import Costed, accuracy_by_cost
from ltbench.reports.figures.critical_difference import Ranked, critical_difference_diagram
from ltbench.reports.figures.heat_map import HeatRow, heat_map
from ltbench.reports.figures.pro import pro_curves, pro_points
from ltbench.reports.figures.rank_changes import Change, rank_changes
from ltbench.reports.figures.roc import roc_curves, roc_points
from ltbench.reports.figures.score_by_parameter import Curve, Reading, score_by_parameter
from ltbench.reports.figures.score_by_size import SizedScore, score_by_size
from ltbench.reports.figures.score_distributions import ClassScores, score_distributions
from ltbench.reports.figures.standings import standings_figure
from ltbench.reports.figures.tail_head_gap import Pair, tail_head_gap
from ltbench.reports.numbers import Number
from ltbench.reports.statistics.standings import Standing

FEW = ("TailedCore", "PatchCore", "SoftPatch", "PaDiM", "UniAD")
MANY = (
    *FEW, "Dinomaly", "INP-Former", "WinCLIP (class names)", "FUN-AD", "InReaCh", "RegAD", "DRAEM",
    "PatchCore (coreset_ratio=0.01, neighbours=9)", "MeDS", "AnomalyCLIP",
)  # fmt: skip
CATEGORIES = ("bottle", "metal_nut", "toothbrush", "a_category_with_a_rather_long_name", "pcb1", "zipper")
HOSTILE = 'A & B <script>alert("1")</script>'
SIZES = {
    "few": (FEW, CATEGORIES),
    "many": (MANY, tuple(f"category {at:02d}" for at in range(30))),
    "none": ((), ()),
}


def drawings(
    size: str, title: str = "A title that is long enough to need more than one line in a column"
) -> dict[str, str]:
    """Every figure by name; `size` is one of SIZES."""
    methods, categories = SIZES[size]
    rng = np.random.default_rng(len(methods))
    scores = {name: float(rng.uniform(0.7, 0.98)) for name in methods}
    facts: dict[str, Any] = {"title": title, "subtitle": "MVTec AD, step (K = 4), seed 1"}
    made: dict[str, Callable[[], str]] = {
        "class_sizes": lambda: class_sizes(_sizes(categories, rng), **facts),
        "score_by_size": lambda: score_by_size(_sized(methods, categories, scores, rng), order=MANY, **facts),
        "score_by_parameter": lambda: score_by_parameter(_curves(scores), parameter="noise ratio", **facts),
        "tail_head_gap": lambda: tail_head_gap(
            [Pair(name, score - 0.1 * rng.random(), score) for name, score in scores.items()], **facts
        ),
        "rank_changes": lambda: rank_changes(
            [Change(name, score, score - 0.2 * rng.random()) for name, score in scores.items()], **facts
        ),
        "cost": lambda: accuracy_by_cost(
            [Costed(name, 10 ** rng.uniform(0, 4), score, 0.01) for name, score in scores.items()],
            cost="seconds to fit", **facts,
        ),
        "heat_map": lambda: heat_map(methods, _heat(methods, categories, scores, rng), **facts),
        "score_distributions": lambda: score_distributions(
            _distributions(categories, rng), note="AUROC", **facts
        ),
        "roc": lambda: roc_curves([roc_points(name, *_labelled(rng)) for name in methods[:6]], **facts),
        "pro": lambda: pro_curves([pro_points(name, *_maps(rng)) for name in methods[:6]], **facts),
        "critical_difference": lambda: critical_difference_diagram(
            [Ranked(name, 1 + at * 0.9) for at, name in enumerate(methods)], 2.4, **facts
        ),
        "standings": lambda: standings_figure(_numbers(scores), **facts),
    }  # fmt: skip
    return {name: make() for name, make in made.items()}


def _numbers(scores: dict[str, float]) -> list[tuple[str, Number]]:
    found = []
    for at, (name, score) in enumerate(scores.items(), start=1):
        ends = (score - 0.02, min(1.0, score + 0.02))
        standing = Standing(at, max(1, at - 2), at + 2, 0.1, at % 4, 0.5, at) if at % 4 else None
        found.append((name, Number(score, interval=ends, standing=standing)))
    return [(name, number) for name, number in found if math.isfinite(number.mean or 0)]


def _sizes(categories: tuple[str, ...], rng: np.random.Generator) -> list[ClassSize]:
    return [
        ClassSize(
            name, "head" if at < 4 else "tail", int(320 / (at + 1) ** 1.3) + 1, int(rng.integers(0, 30))
        )
        for at, name in enumerate(categories)
    ]


def _sized(
    methods: tuple[str, ...], categories: tuple[str, ...], scores: dict[str, float], rng: np.random.Generator
) -> list[SizedScore]:
    return [
        SizedScore(
            method, category, int(rng.integers(2, 400)), scores[method] - 0.1 * rng.random(), f"seed {seed}"
        )
        for method in methods
        for category in categories
        for seed in (1, 2)
    ]


def _curves(scores: dict[str, float]) -> list[Curve]:
    noises = (0.0, 0.05, 0.1, 0.2, 0.4)
    found = []
    for at, (name, score) in enumerate(scores.items()):
        means = [score - 0.08 * at * noise for noise in noises]
        if at == 1:
            means[2] = math.nan
        found.append(
            Curve(name, [Reading(n, m, m - 0.02, m + 0.02) for n, m in zip(noises, means, strict=True)])
        )
    return found


def _heat(
    methods: tuple[str, ...], categories: tuple[str, ...], scores: dict[str, float], rng: np.random.Generator
) -> list[HeatRow]:
    rows, reasons = [], ["the method returns no maps"] * len(methods)
    for category in categories:
        values = [scores[name] - 0.1 * rng.random() for name in methods]
        values[-1] = math.nan
        rows.append(HeatRow(category, str(rng.integers(2, 400)), values, reasons))
    return rows


def _labelled(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(70) < 40
    return rng.normal(size=70).round(1) + 1.4 * labels, labels


def _maps(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    masks = np.zeros((4, 24, 24), dtype=bool)
    masks[0, 3:9, 4:11] = masks[1, 12:15, 2:5] = masks[1, 20:23, 18:23] = True
    return rng.normal(size=masks.shape).round(1) + masks, masks


def _distributions(categories: tuple[str, ...], rng: np.random.Generator) -> list[ClassScores]:
    return [ClassScores(name, *_labelled(rng), note="87.3") for name in categories]
