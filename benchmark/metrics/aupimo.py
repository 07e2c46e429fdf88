"""Area under the per-image overlap at very low false positive rates (AUPIMO, Bertoldo et al., BMVC 2024)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Answer, Metric, Truth, Undefined, not_finite

LOWER, UPPER = 1e-5, 1e-4


def compute(truth: Truth, answer: Answer) -> float:
    """Mean AUPIMO over the images with anomalous pixels."""
    return float(np.mean(aupimo_of_images(truth, answer)))


def aupimo_of_images(truth: Truth, answer: Answer) -> npt.NDArray[np.float64]:
    """AUPIMO of each image with anomalous pixels, (images,).

    It is the covered share of an image's anomalous pixels, averaged over the logarithm of the false positive
    rate on good images between 1e-5 and 1e-4. Every threshold is used: at rate z, the lowest one that flags
    at most a share z of the good images' pixels. The released code uses 300 000 thresholds between lowest and
    highest score and interpolates linearly.

    Raises Undefined if there are too few good pixels for these rates, or if maps or masks are unsuitable.
    """
    maps, masks = answer.require_arrays(truth, "AUPIMO")
    if not np.isfinite(maps).all():
        raise Undefined(not_finite("maps", maps))
    regions = truth.regions
    good = regions.pixels_of_image == 0
    if good.all():
        raise Undefined("no anomalous pixel: one class only")
    pixels = int(good.sum()) * masks[0].size
    most = int(UPPER * pixels)
    if most < 1:
        raise Undefined(f"{pixels} pixels of good images cannot tell a false positive rate of {UPPER:g}")
    # threshold[k]: the highest score that must not be flagged for k false alarms.
    values = maps[good].reshape(-1)
    threshold = -np.sort(-np.partition(values, len(values) - most - 1)[-most - 1 :])
    defective = np.flatnonzero(~good)
    image = np.searchsorted(defective, regions.index // masks[0].size)
    # A pixel is covered from the first k whose threshold lies below it.
    first = np.searchsorted(-threshold, -maps.reshape(-1)[regions.index], "right")
    counts = np.bincount(image * (most + 2) + first, minlength=len(defective) * (most + 2))
    covered = np.cumsum(counts.reshape(len(defective), most + 2)[:, :-1], axis=1)
    borders = np.clip(np.arange(most + 2) / pixels, LOWER, UPPER)
    widths = np.diff(np.log(borders)) / np.log(UPPER / LOWER)
    overlap: npt.NDArray[np.float64] = covered @ widths / regions.pixels_of_image[~good]
    return overlap


METRIC = Metric(
    title="AUPIMO",
    description="Mean covered share of an image's defects at pixel false positive rates of 0.001 to 0.01 %.",
    needs="maps",
    recipe="exact, every threshold; log FPR 1e-5 to 1e-4 on good images; mean of images; per category",
    compute=compute,
    order=82,
)
