"""Structural similarity of images as a loss."""

from __future__ import annotations

import torch
from torch.nn import functional

from ltbench.methods.training.precision import in_full_precision

WINDOW = 11
SIGMA = 1.5
STABILITY = (0.01, 0.03)
"""Constants K1 and K2 of SSIM: shares of the value range whose squares stabilise the quotients."""


@in_full_precision
def dissimilarity(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """1 - mean SSIM of two batches (B, C, H, W) (Wang et al. 2004), as in DRAEM's code.

    Means and covariances are weighted by an 11 x 11 Gaussian of standard deviation 1.5, with zero padding.
    The value range is 1, or 2 if any value of `images` is below -0.5. Returns a scalar.
    """
    channels = images.shape[1]
    offset = torch.arange(WINDOW, device=images.device) - WINDOW // 2
    line = torch.exp(-offset.square() / (2 * SIGMA**2))
    kernel = (line[:, None] * line / line.sum() ** 2).to(images.dtype).expand(channels, 1, -1, -1)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(values, kernel, padding=WINDOW // 2, groups=channels)

    first, second = mean(images), mean(others)
    variances = mean(images.square()) - first.square() + mean(others.square()) - second.square()
    covariance = mean(images * others) - first * second
    span = 1 + (images.detach().amin() < -0.5).to(images)
    small, large = ((share * span).square() for share in STABILITY)
    similar = (2 * first * second + small) * (2 * covariance + large)
    return 1 - (similar / ((first.square() + second.square() + small) * (variances + large))).mean()
