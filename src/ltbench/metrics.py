"""The benchmark's metrics on plain arrays, for any project.

Example:
    import ltbench

    ltbench.metrics.score(labels, scores)                          # image metrics
    ltbench.metrics.score(labels, scores, masks, maps)["aupro"]    # and pixel metrics
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ltbench.benchmark import metrics as registry
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.metrics import Answer, Truth

__all__ = ["MetricValues", "names", "score"]


class MetricValues(dict[str, float | None]):
    """Values by name of the metric; None where a metric is not defined, and then `why` says why."""

    def __init__(self, values: dict[str, float | None], why: dict[str, str]) -> None:
        super().__init__(values)
        self.why = why
        """Reason by name of the metric, for every None."""


def names() -> list[str]:
    """Names of all metrics in a table's order."""
    return registry.names()


def score(
    truth: npt.ArrayLike,
    scores: npt.ArrayLike,
    masks: npt.ArrayLike | None = None,
    maps: npt.ArrayLike | None = None,
    metrics: str | Sequence[str] = (),
) -> MetricValues:
    """Compute metrics of one category exactly as the benchmark does.

    Args:
        truth: labels (N,), true or 1 = defective.
        scores: image scores (N,), higher = more anomalous.
        masks: (N, H, W), non-zero = anomalous pixel; those of good images are empty.
        maps: anomaly maps (N, H, W), higher = more anomalous, at the masks' size.
        metrics: names of metrics, globs, "standard" or "all"; none = the standard ones, without maps those
            that need none.

    Raises:
        UsageError: arrays do not fit each other, labels are not 0 and 1, or no metric has this name.

    Example:
        >>> score([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.9], metrics=["image_auroc"])
        {'image_auroc': 0.75}
    """
    labels = _labels(truth)
    image_scores = np.asarray(scores, dtype=np.float64)
    if image_scores.shape != labels.shape:
        raise UsageError(f"scores have shape {image_scores.shape}: expected {labels.shape}, one per label")
    mask_array = None if masks is None else np.asarray(masks) != 0
    map_array = None if maps is None else np.asarray(maps)
    for name, array in (("masks", mask_array), ("maps", map_array)):
        if array is not None and (array.ndim != 3 or len(array) != len(labels)):
            raise UsageError(f"{name} have shape {array.shape}: expected ({len(labels)}, height, width)")
    if mask_array is not None and map_array is not None and mask_array.shape != map_array.shape:
        raise UsageError(
            f"maps have shape {map_array.shape}, masks {mask_array.shape}: expected maps at the masks' size"
        )
    asked = registry.select(metrics) if metrics else _standard(map_array is not None)
    values = registry.evaluate(Truth(labels, mask_array), Answer(image_scores, map_array), asked)
    return MetricValues(
        {value.metric: value.value for value in values},
        {value.metric: value.why for value in values if value.value is None},
    )


def _standard(with_maps: bool) -> list[str]:
    return [name for name in registry.standard() if with_maps or registry.load(name).needs == "scores"]


def _labels(truth: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    given = np.asarray(truth)
    if given.ndim != 1 or not np.isin(given, (0, 1)).all():
        raise UsageError(
            f"labels have shape {given.shape} and values {', '.join(map(str, np.unique(given)[:3]))}: "
            "expected one per image, 1 or true for a defective one and 0 or false for a good one"
        )
    return given.astype(bool)
