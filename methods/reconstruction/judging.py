"""Image scores of reconstruction methods, taken from the full-size map of their patch scores."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import MapPost, Prediction
from ltbench.methods.blocks.image_scores import largest_of_pooled
from ltbench.methods.blocks.progressive import robust_maximum
from ltbench.methods.blocks.score_maps import anomaly_maps, maps_after

Floats = npt.NDArray[np.float32]

MAP_SIDE = 256
"""Side of the maps on which Dinomaly, INP-Former and RD judge images, and to which their smoothing refers."""
KERNEL_RADIUS = 2
"""Pixels of such a map to which Dinomaly and INP-Former cut their Gaussian: 5 x 5."""
_CHUNK = 64


def top_of_map(
    grids: Floats,
    percent: float,
    sigma: float,
    crop: int,
    *,
    upsample: Literal["bilinear", "bilinear_corners"] = "bilinear_corners",
    via: int | None = None,
) -> Prediction:
    """An image is as anomalous as the mean of the top `percent` of its smoothed map: 655 pixels of 256 x 256.

    Beyond the map the Gaussian of 5 x 5 pixels finds zeros. sigma: its standard deviation, in pixels of a
    256 x 256 map; crop: side of the view; via: see `MapPost`.
    """

    def post(side: int) -> MapPost:
        radius = round(KERNEL_RADIUS * side / MAP_SIDE)
        return MapPost(sigma * side / MAP_SIDE, upsample, border="zero", radius=radius, via=via)

    parts = [
        robust_maximum(maps_after(part, MAP_SIDE, post(MAP_SIDE)), percent, "floor")
        for part in _chunks(grids)
    ]
    return _prediction(grids, parts, post(crop))


def max_of_map(grids: Floats, sigma: float, crop: int) -> Prediction:
    """An image is as anomalous as the largest pixel of its smoothed map (RD)."""
    parts = [
        anomaly_maps(part, MAP_SIDE, sigma, "bilinear_corners").max(axis=(1, 2)) for part in _chunks(grids)
    ]
    post = MapPost(sigma=sigma * crop / MAP_SIDE, upsample="bilinear_corners")
    return _prediction(grids, parts, post)


def max_of_pooled(grids: Floats, crop: int, window: int = 16) -> Prediction:
    """An image is as anomalous as the largest mean of `window` x `window` pixels of its map (UniAD, HVQ)."""
    post = MapPost(sigma=0.0, upsample="bilinear_corners")
    return _prediction(grids, [largest_of_pooled(grids, crop, post, window)], post)


def _chunks(grids: Floats) -> list[Floats]:
    return [grids[low : low + _CHUNK] for low in range(0, len(grids), _CHUNK)]


def _prediction(grids: Floats, parts: list[Floats], post: MapPost) -> Prediction:
    scores = np.concatenate(parts) if parts else np.zeros(0)
    return Prediction(scores=scores.astype(np.float32), grids=grids.astype(np.float32), post=post)
