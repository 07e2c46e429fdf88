"""The exact pixel curve of maps on an accelerator: sorted and searched there, only counts come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Undefined, as_array, not_finite
from ltbench.benchmark.metrics.curve import CurveInMemory, require_both
from ltbench.benchmark.metrics.positives import Positives
from ltbench.benchmark.metrics.regions import Regions

if TYPE_CHECKING:
    import torch

CHUNK = 1 << 26
"""Pixels sorted at a time: torch's sort takes another 12 bytes for each."""


def curve_of_tensor(maps: torch.Tensor, regions: Regions) -> CurveInMemory:
    """Curve of `maps` (N, H, W) on any device that knows float64, as `curve_of_maps` makes it of an array.

    Counts are the same integers. Overlaps are sums of float64 in the same order, which an accelerator may
    group differently: equal within 1e-12. Raises Undefined if a value is not finite or all pixels are of one
    class.
    """
    import torch

    values = maps.detach().reshape(-1)
    if values.element_size() < 4:
        values = values.float()
    if not bool(torch.isfinite(values).all()):
        raise Undefined(not_finite("maps", as_array(maps)))
    index = torch.from_numpy(regions.index).to(values.device)
    weight = torch.from_numpy(regions.weight).to(values.device)
    thresholds, *counted = _ordered(values[index], weight)
    at_least, above = _counts(values, thresholds)
    positives = Positives(_array(thresholds), *(_array(each) for each in counted))
    piece = positives.piece(_array(at_least), _array(above), len(regions.size))
    curve = CurveInMemory(piece, len(regions.index), values.numel() - len(regions.index))
    require_both(curve, "anomalous pixel", "normal pixel")
    return curve


def _ordered(
    values: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Fields of Positives, rising: distinct values, count of each, hits and covered weight from there up."""
    import torch

    ascending, order = torch.sort(values, stable=True)
    falling, order = ascending.flip(0), order.flip(0)
    covered = torch.cumsum(weight[order], dim=0)
    last = torch.ones(len(falling), dtype=torch.bool, device=values.device)
    last[:-1] = falling[1:] != falling[:-1]
    hits = torch.nonzero(last).flatten() + 1
    count = torch.diff(hits, prepend=hits.new_zeros(1))
    return falling[last].flip(0), count.flip(0), hits.flip(0), covered[last].flip(0)


def _counts(values: torch.Tensor, thresholds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How many of all `values` are ≥ and > each of the rising thresholds."""
    import torch

    at_least = torch.zeros(len(thresholds), dtype=torch.int64, device=values.device)
    above = torch.zeros_like(at_least)
    for chunk in values.split(CHUNK):
        ascending = torch.sort(chunk).values
        at_least += len(chunk) - torch.searchsorted(ascending, thresholds, right=False)
        above += len(chunk) - torch.searchsorted(ascending, thresholds, right=True)
    return at_least, above


def _array(values: torch.Tensor) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values.cpu().numpy())
