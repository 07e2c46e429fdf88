"""AUPRO as anomalib computed it up to release 2.2: one resampled ROC curve per region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Answer, Metric, Truth, Undefined
from ltbench.benchmark.metrics.blocks.pixel_curve import pixel_curve

Doubles = npt.NDArray[np.float64]


def compute(truth: Truth, answer: Answer, limit: float = 0.3) -> float:
    """Area under the mean of the regions' ROC curves, divided by the mean of their end points.

    Each region's curve, against all normal pixels, is resampled to the number of points that the curve of all
    pixels has below the false positive rate `limit`, by position in the list of thresholds instead of by
    false positive rate. The original computes in float32 throughout.
    """
    pixel_curve(truth, answer)  # Raises Undefined for the same reasons as the other pixel metrics.
    maps, _ = answer.require_arrays(truth, "anomalib's AUPRO")
    values = _squashed(maps.reshape(-1))
    regions = truth.regions
    normal = _NormalPixels.of(np.delete(values, regions.index), limit)
    samples = normal.points(np.unique(values[regions.index]))
    if samples < 2:
        raise Undefined(f"anomalib's curve has no two points below a false positive rate of {limit}")
    x, y = np.zeros(samples), np.zeros(samples)
    by_region = np.argsort(regions.region, kind="stable")
    for pixels in np.split(regions.index[by_region], np.cumsum(regions.size)[:-1]):
        rate, share = _resampled(*normal.roc(values[pixels]), samples, limit)
        x += rate
        y += share
    # Both means are over the regions: trapz(y/R, x/R) / (x[-1]/R).
    return float(np.trapezoid(y, x)) / (len(regions.size) * float(x[-1]))


def _squashed(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Apply a sigmoid to all scores if any lies outside [0, 1], as torchmetrics does."""
    single: npt.NDArray[np.float32] = values.astype(np.float32)
    if single.min() >= 0 and single.max() <= 1:
        return single
    with np.errstate(over="ignore"):
        np.divide(np.float32(1), np.float32(1) + np.exp(-single), out=single)
    return single


@dataclass(frozen=True, eq=False)
class _NormalPixels:
    """Distinct scores of normal pixels, descending, until their false positive rate exceeds the limit."""

    scores: npt.NDArray[np.float32]
    rates: Doubles
    """Zero, then the false positive rate at each score; one element longer than `scores`."""
    limit: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float32], limit: float) -> _NormalPixels:
        """Build the curve of normal pixels up to the limit."""
        scores, counts = np.unique(values, return_counts=True)
        rates = np.append(0.0, np.cumsum(counts[::-1]) / len(values))
        needed = int(np.sum(rates <= limit)) + 1
        return cls(scores[::-1][: needed - 1], rates[:needed], limit)

    def points(self, anomalous: npt.NDArray[np.float32]) -> int:
        """Number of points of the curve of all pixels up to the limit, the origin included."""
        own = anomalous[::-1]
        position = np.searchsorted(-self.scores, -own, "left")
        inside = self.rates <= self.limit
        met = self.scores[np.minimum(position, len(self.scores) - 1)] == own
        # A score that only anomalous pixels have is a point of its own, at the rate of the scores above it.
        return int(inside.sum() + np.sum(self.rates[position[~met]] <= self.limit))

    def roc(self, values: npt.NDArray[np.float32]) -> tuple[Doubles, Doubles]:
        """ROC curve of one region from (0, 0) to beyond the limit: false and true positive rates."""
        own, counts = np.unique(values, return_counts=True)
        own, counts = own[::-1], counts[::-1]
        position = np.searchsorted(-self.scores, -own, "left")
        reached = position < len(self.scores)
        own, counts, position = own[reached], counts[reached], position[reached]
        new = self.scores[position] != own
        rates = np.insert(self.rates, position[new] + 1, self.rates[position[new]])
        steps = np.zeros(len(rates))
        steps[position + np.cumsum(new) + ~new] = counts / len(values)
        return rates, np.cumsum(steps)


def _resampled(rate: Doubles, share: Doubles, samples: int, limit: float) -> tuple[Doubles, Doubles]:
    """Resample a curve below `limit` at equal steps of its list of points, the last one cut at `limit`."""
    inside = rate <= limit
    end = float(rate[rate > limit].min()) if rate[inside].max() == 0 else limit
    kept = np.arange(int(np.sum(rate <= end)))
    cut: float | None = None
    if not np.isclose(rate[kept[-1]], limit, rtol=1e-5, atol=1e-8):
        after = int(np.searchsorted(rate, limit, "left"))
        cut = 1 - (rate[after] - limit) / (rate[after] - rate[after - 1])
        kept = np.append(kept, after)
    old = kept / kept[-1] * (samples - 1)
    positions = np.arange(samples, dtype=np.float64)
    if cut is not None:
        positions[-1] = old[-2] + (old[-1] - old[-2]) * cut
    return _interpolated(old, rate[kept], positions), _interpolated(old, share[kept], positions)


def _interpolated(old: Doubles, values: Doubles, positions: Doubles) -> Doubles:
    """Interpolate (old, values) linearly; float32's epsilon avoids division by zero at equal positions."""
    slope = np.diff(values) / (np.finfo(np.float32).eps + np.diff(old))
    index = np.clip(np.searchsorted(old, positions) - 1, 0, len(old) - 2)
    interpolated: Doubles = values[index] + slope[index] * (positions - old[index])
    return interpolated


METRIC = Metric(
    title="AUPRO (anomalib 2.2)",
    description="AUPRO from one resampled curve per region, as anomalib up to release 2.2 prints it.",
    needs="maps",
    recipe="as anomalib up to 2.2; each region's curve resampled by position, cut at FPR 0.3; per category",
    compute=compute,
    order=96,
)
