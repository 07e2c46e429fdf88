"""Pixel AUROC over defective images only, the third AUROC of patchcore-inspection's run_patchcore.py."""

from __future__ import annotations

from ltbench.benchmark.metrics.base import Answer, Metric, Truth
from ltbench.benchmark.metrics.blocks.curve import auroc
from ltbench.benchmark.metrics.blocks.pixel_curve import curve_of_maps
from ltbench.benchmark.metrics.blocks.regions import label_regions


def compute(truth: Truth, answer: Answer) -> float:
    """Compute the AUROC of the pixels of images with anomalous pixels."""
    maps, masks = answer.require_arrays(truth, "the AUROC of defective images")
    defective = truth.regions.pixels_of_image > 0
    return auroc(curve_of_maps(maps[defective], label_regions(masks[defective])))


METRIC = Metric(
    title="P-AUROC (defective)",
    description="Pixel AUROC without the good images: fewer and other false alarms.",
    needs="maps",
    recipe="exact, ties one half; images with anomalous pixels only; per category",
    compute=compute,
    order=95,
)
