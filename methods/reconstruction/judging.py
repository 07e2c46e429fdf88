"""Image scores of reconstruction methods, taken from the full-size map of their patch scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from methods.base import MapPost, Prediction
from methods.blocks.image_scores import largest_of_pooled
from methods.blocks.progressive import robust_maximum
from methods.blocks.score_maps import anomaly_maps

Floats = npt.NDArray[np.float32]

MAP_SIDE = 256
"""Side of the maps on which Dinomaly, INP-Former and RD judge images, and to which their smoothing refers."""
_CHUNK = 64


def top_of_map(grids: Floats, percent: float, sigma: float, crop: int) -> Prediction:
    """An image is as anomalous as the mean of the top `percent` of its smoothed map: 655 pixels of 256 x 256.

    sigma: of the Gaussian, in pixels of a 256 x 256 map; crop: side of the view.
    """
    parts = [
        robust_maximum(anomaly_maps(part, MAP_SIDE, sigma, "bilinear_corners"), percent, "floor")
        for part in _chunks(grids)
    ]
    return _prediction(grids, parts, _post(sigma, crop))


def max_of_map(grids: Floats, sigma: float, crop: int) -> Prediction:
    """An image is as anomalous as the largest pixel of its smoothed map (RD)."""
    parts = [
        anomaly_maps(part, MAP_SIDE, sigma, "bilinear_corners").max(axis=(1, 2)) for part in _chunks(grids)
    ]
    return _prediction(grids, parts, _post(sigma, crop))


def max_of_pooled(grids: Floats, crop: int, window: int = 16) -> Prediction:
    """An image is as anomalous as the largest mean of `window` x `window` pixels of its map (UniAD, HVQ)."""
    post = MapPost(sigma=0.0, upsample="bilinear_corners")
    return _prediction(grids, [largest_of_pooled(grids, crop, post, window)], post)


def _post(sigma: float, crop: int) -> MapPost:
    return MapPost(sigma=sigma * crop / MAP_SIDE, upsample="bilinear_corners")


def _chunks(grids: Floats) -> list[Floats]:
    return [grids[low : low + _CHUNK] for low in range(0, len(grids), _CHUNK)]


def _prediction(grids: Floats, parts: list[Floats], post: MapPost) -> Prediction:
    scores = np.concatenate(parts) if parts else np.zeros(0)
    return Prediction(scores=scores.astype(np.float32), grids=grids.astype(np.float32), post=post)
