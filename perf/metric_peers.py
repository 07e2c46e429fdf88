"""Peers of the pixel metrics: library calls, and published loops restated plainly."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

Maps = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]
Values = dict[str, float]
ALL_TOUCHING = np.ones((3, 3), int)


def sklearn_and_mvtec(maps: Maps, masks: Masks) -> Values:
    """Three sorts of all pixels by scikit-learn and one by the MVTec AD recipe, in float64: exact."""
    labels, scores = masks.ravel(), maps.ravel()
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return {
        "pixel_auroc": float(roc_auc_score(labels, scores)),
        "pixel_ap": float(average_precision_score(labels, scores)),
        "pixel_f1max": float(f1.max()),
        "aupro": mvtec_recipe(maps, masks),
    }


def mvtec_recipe(maps: Maps, masks: Masks, limit: float = 0.3) -> float:
    """AUPRO by per-pixel changes of both curves, sorted by score and summed (MVTec AD, every threshold)."""
    false_change = np.zeros(maps.shape, np.uint32)
    share_change = np.zeros(maps.shape, np.float64)
    regions = 0
    for image, mask in enumerate(masks):
        labels, number = ndimage.label(mask, ALL_TOUCHING)
        regions += number
        false_change[image] = labels == 0
        for label in range(1, number + 1):
            inside = labels == label
            share_change[image][inside] = 1.0 / inside.sum()
    scores = maps.ravel()
    order = np.argsort(scores)[::-1]
    rates = np.cumsum(false_change.ravel()[order], dtype=np.float64) / false_change.sum(dtype=np.int64)
    shares = np.cumsum(share_change.ravel()[order]) / regions
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    x = np.concatenate(([0.0], rates[last_of_equals], [1.0]))
    y = np.concatenate(([0.0], np.minimum(shares[last_of_equals], 1.0), [1.0]))
    inside = x <= limit
    end = np.interp(limit, x, y)
    return float(np.trapezoid(np.append(y[inside], end), np.append(x[inside], limit))) / limit


def linear_loop(maps: Maps, masks: Masks, steps: int = 200, limit: float = 0.3) -> Values:
    """AUPRO at equal steps of the score, regions measured anew at each (cflow-ad, AnomalyCLIP, ADer)."""
    labelled = [ndimage.label(mask, ALL_TOUCHING) for mask in masks]
    regions = [np.nonzero(labels == number + 1) for labels, found in labelled for number in range(found)]
    owners = [image for image, (_, found) in enumerate(labelled) for _ in range(found)]
    low, high = maps.min(), maps.max()
    rates, shares = [], []
    for threshold in np.arange(low, high, (high - low) / steps):
        flagged = maps > threshold
        shares.append(
            np.mean([flagged[image][region].mean() for image, region in zip(owners, regions, strict=True)])
        )
        rates.append(np.logical_and(~masks, flagged).sum() / (~masks).sum())
    x, y = np.array(rates), np.array(shares)
    inside = x < limit
    x = (x[inside] - x[inside].min()) / (x[inside].max() - x[inside].min())
    return {"aupro": -float(np.trapezoid(y[inside], x))}


def torchmetrics_two(maps: Maps, masks: Masks) -> Values:
    """torchmetrics' exact mode: one sort per metric."""
    import torch
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    scores, labels = torch.from_numpy(_unit(maps)).flatten(), torch.from_numpy(masks).flatten().long()
    return {
        "pixel_auroc": float(binary_auroc(scores, labels)),
        "pixel_ap": float(binary_average_precision(scores, labels)),
    }


def anomalib_four(maps: Maps, masks: Masks) -> Values:
    """anomalib's AUPRO and F1Max with the AUROC and AP of torchmetrics that it wraps."""
    import torch
    from anomalib.metrics.aupro import _AUPRO
    from anomalib.metrics.f1_score import _F1Max

    scores, labels = torch.from_numpy(_unit(maps)), torch.from_numpy(masks)
    overlap, f1 = _AUPRO(), _F1Max()
    overlap.update(scores, labels.int())
    f1.update(scores.flatten(), labels.flatten())
    return {
        **torchmetrics_two(maps, masks),
        "pixel_f1max": float(f1.compute()),
        "aupro": float(overlap.compute()),
    }


def adeval_three(maps: Maps, masks: Masks) -> Values:
    """ADEval's histogram; it calls a NumPy name that 2.4 removed."""
    import adeval

    if not hasattr(np, "trapz"):
        setattr(np, "trapz", np.trapezoid)  # noqa: B010 - a name that type checkers know as gone
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = adeval.auroc_aupr_aupro([*maps], [*masks.astype(np.uint8)])
    return dict(zip(("pixel_auroc", "pixel_ap", "aupro"), map(float, found), strict=True))


def _unit(maps: Maps) -> npt.NDArray[Any]:
    """Scores in [0, 1], where torchmetrics leaves them alone instead of sending them through a sigmoid."""
    return (maps - maps.min()) / np.ptp(maps)
