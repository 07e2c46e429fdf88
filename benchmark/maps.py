"""From patch score grids to anomaly maps, as the evaluation needs them."""

from methods.blocks.score_maps import anomaly_maps, smoothing_upsampler, upsampler

__all__ = ["anomaly_maps", "smoothing_upsampler", "upsampler"]
