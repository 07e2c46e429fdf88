"""Image scores of reconstruction methods, computed from full-size anomaly maps."""

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
"""Side of the maps from which Dinomaly, INP-Former and RD score images; their smoothing is in its pixels."""
KERNEL_RADIUS = 2
"""Radius of the 5 x 5 Gaussian kernel of Dinomaly and INP-Former in pixels of such a map."""
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
    """Score an image by the mean of the top `percent` % of its smoothed map (Dinomaly, INP-Former).

    With 1 %, these are 655 pixels of a 256 x 256 map. The Gaussian kernel has 5 x 5 pixels with zero padding.

    Args:
        grids: (N, h, w) patch scores.
        percent: Share of pixels in percent.
        sigma: Standard deviation of the Gaussian in pixels of a 256 x 256 map.
        crop: Side of the view in pixels.
        upsample: Interpolation from grid to map.
        via: Side of an intermediate map, see `MapPost`.
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
    """Score an image by the maximum of its smoothed map (RD).

    Args:
        grids: (N, h, w) patch scores.
        sigma: Standard deviation of the Gaussian in pixels of a 256 x 256 map.
        crop: Side of the view in pixels.
    """
    parts = [
        anomaly_maps(part, MAP_SIDE, sigma, "bilinear_corners").max(axis=(1, 2)) for part in _chunks(grids)
    ]
    post = MapPost(sigma=sigma * crop / MAP_SIDE, upsample="bilinear_corners")
    return _prediction(grids, parts, post)


def max_of_pooled(grids: Floats, crop: int, window: int = 16) -> Prediction:
    """Score an image by the maximum of its map after average pooling (UniAD, HVQ-Trans).

    Args:
        grids: (N, h, w) patch scores.
        crop: Side of the view in pixels.
        window: Side of the pooling window in pixels.
    """
    post = MapPost(sigma=0.0, upsample="bilinear_corners")
    return _prediction(grids, [largest_of_pooled(grids, crop, post, window)], post)


def _chunks(grids: Floats) -> list[Floats]:
    """Split grids into chunks of bounded memory."""
    return [grids[low : low + _CHUNK] for low in range(0, len(grids), _CHUNK)]


def _prediction(grids: Floats, parts: list[Floats], post: MapPost) -> Prediction:
    """Assemble a prediction from parts of the image scores."""
    scores = np.concatenate(parts) if parts else np.zeros(0)
    return Prediction(scores=scores.astype(np.float32), grids=grids.astype(np.float32), post=post)
