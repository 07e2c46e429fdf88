"""Pixel metrics: ours beside scikit-learn with the MVTec recipe, anomalib, torchmetrics and ADEval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.maps import anomaly_maps
from ltbench.benchmark.metrics import Answer, Scratch, Truth, evaluate
from ltbench.benchmark.metrics.blocks.streaming import ArrayStream
from perf import metric_peers
from perf.comparison import Comparison, Limit, Side

FOUR = ("pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")
Values = dict[str, float]


@dataclass(frozen=True, eq=False)
class Maps:
    """Anomaly maps and masks of one category."""

    maps: npt.NDArray[np.float32]
    masks: npt.NDArray[np.bool_]
    scratch: Scratch


def category(images: int, size: int, *, strength: float = 2.0) -> Maps:
    """Maps made from noisy 28 x 28 patch scores, as methods give them; two of three images are defective,
    some 2 % of the pixels anomalous. `strength`: what a defect adds to a normal score of about 2 ± 1.
    """
    rng = np.random.default_rng(0)
    masks = np.zeros((images, size, size), bool)
    for mask in (masks[image] for image in range(images) if image % 3):
        for _ in range(rng.integers(1, 5)):
            height, width = rng.integers(size // 32, size // 6, 2)
            top, left = rng.integers(0, size - height), rng.integers(0, size - width)
            mask[top : top + height, left : left + width] = True
    borders = np.arange(28) * size // 28
    cells = (
        np.add.reduceat(np.add.reduceat(masks.astype(float), borders, axis=1), borders, axis=2)
        / (size / 28) ** 2
    )
    grids = rng.gamma(4, 0.5, (images, 28, 28)) + strength * cells * rng.random((images, 28, 28))
    return Maps(anomaly_maps(grids.astype(np.float32), size), masks, Scratch())


def ours(given: Maps) -> Values:
    truth = Truth(given.masks.any(axis=(1, 2)), given.masks)
    return values_of(truth, Answer(maps=given.maps))


def ours_with_buffers(given: Maps) -> Values:
    truth = Truth(given.masks.any(axis=(1, 2)), given.masks)
    return values_of(truth, Answer(maps=given.maps, scratch=given.scratch))


def ours_streamed(given: Maps) -> Values:
    truth = Truth(given.masks.any(axis=(1, 2)), ArrayStream(given.masks))
    return values_of(truth, Answer(maps=ArrayStream(given.maps), memory_bytes=64 << 20))


def values_of(truth: Truth, answer: Answer) -> Values:
    found = {}
    for value in evaluate(truth, answer, FOUR):
        if value.value is None:
            raise ValueError(f"{value.metric}: {value.why}")
        found[value.metric] = value.value
    return found


def largest_difference(one: Values, other: Values) -> float:
    """Largest difference over the metrics that both have."""
    return max(abs(one[name] - other[name]) for name in one.keys() & other.keys())


def _comparison(size: int) -> Comparison:
    def inputs(brief: bool) -> Maps:
        return category(6, 56) if brief else category(120, size)

    def peer(
        name: str, run: Any, *needs: str, faster: float | None = None, leaner: float | None = None
    ) -> Side:
        return Side(name, lambda given: run(given.maps, given.masks), needs, faster, leaner)

    return Comparison(
        name=f"pixel metrics {size}",
        size=f"120 maps of {size}², AUROC + AP + F1max + AUPRO",
        inputs=inputs,
        ours=Side("ltbench", ours),
        peers=(
            Side("ltbench, buffers kept", ours_with_buffers),
            Side("ltbench, streamed, 64 MiB", ours_streamed),
            peer("scikit-learn x3 + MVTec recipe", metric_peers.sklearn_and_mvtec, faster=60, leaner=8),
            peer(
                "anomalib + torchmetrics",
                metric_peers.anomalib_four,
                "anomalib",
                "torchmetrics",
                faster=60,
                leaner=8,
            ),
            peer("torchmetrics (AUROC, AP)", metric_peers.torchmetrics_two, "torchmetrics"),
            peer("ADEval, 1000 bins (no F1)", metric_peers.adeval_three, "adeval", "cv2", faster=1),
            peer("200-threshold loop (AUPRO)", metric_peers.linear_loop),
        ),
        difference=largest_difference,
        limit=Limit("sort", 120 * size**2, "one sort of the pixels"),
    )


COMPARISONS = [_comparison(256), _comparison(512)]
