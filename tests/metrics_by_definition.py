"""The metrics as plainly as they can be written: every threshold, rational numbers, no speed."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy import ndimage


def counts(scores, labels):
    """(hits, false alarms) at every distinct score, highest first."""
    points = []
    for threshold in sorted(set(scores.tolist()), reverse=True):
        flagged = scores >= threshold
        points.append((int((flagged & labels).sum()), int((flagged & ~labels).sum())))
    return points


def auroc(scores, labels):
    wins = Fraction(0)
    for high in scores[labels].tolist():
        for low in scores[~labels].tolist():
            wins += 1 if high > low else Fraction(1, 2) if high == low else 0
    return wins / (int(labels.sum()) * int((~labels).sum()))


def average_precision(scores, labels):
    total, before = Fraction(0), 0
    for hits, alarms in counts(scores, labels):
        total += Fraction(hits - before, 1) * Fraction(hits, hits + alarms)
        before = hits
    return total / int(labels.sum())


def f1_max(scores, labels):
    positives = int(labels.sum())
    return max(Fraction(2 * hits, hits + alarms + positives) for hits, alarms in counts(scores, labels))


def components(masks):
    """One boolean array (N, H, W) per 8-connected region, by flood fill."""
    left = {tuple(pixel) for pixel in np.argwhere(masks).tolist()}
    found = []
    while left:
        region, front = set(), [left.pop()]
        while front:
            image, row, column = pixel = front.pop()
            region.add(pixel)
            near = {(image, row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            front.extend(near)
        found.append(np.zeros(masks.shape, bool))
        found[-1][tuple(np.array(sorted(region)).T)] = True
    return found


def overlap_curve(maps, masks):
    """(false positive rate, mean region overlap) at every distinct score, from (0, 0) up."""
    regions = components(masks)
    points = [(Fraction(0), Fraction(0))]
    for threshold in sorted(set(maps.ravel().tolist()), reverse=True):
        flagged = maps >= threshold
        rate = Fraction(int((flagged & ~masks).sum()), int((~masks).sum()))
        shares = [Fraction(int((flagged & region).sum()), int(region.sum())) for region in regions]
        points.append((rate, sum(shares, Fraction(0)) / len(shares)))
    return points


def area_to(points, limit):
    """Trapezoids under a rising curve up to `limit`, the last one cut, over `limit`."""
    area = Fraction(0)
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= limit:
            break
        end = min(x1, limit)
        height = y0 + (y1 - y0) * (end - x0) / (x1 - x0) if x1 > x0 else y1
        area += (end - x0) * (y0 + height) / 2
    return area / limit


def aupro(maps, masks, limit):
    return area_to(overlap_curve(maps, masks), limit)


def mvtec_aupro(maps, masks, limit):
    """AUPRO in the steps of the evaluation that comes with MVTec AD: per-pixel changes, sorted and summed."""
    false_change = np.zeros(masks.shape, np.float64)
    share_change = np.zeros(masks.shape, np.float64)
    regions = 0
    for image, mask in enumerate(masks):
        labels, number = ndimage.label(mask, np.ones((3, 3), int))
        regions += number
        false_change[image][labels == 0] = 1
        for label in range(1, number + 1):
            share_change[image][labels == label] = 1 / np.sum(labels == label)
    order = np.argsort(-maps.ravel(), kind="stable")
    scores = maps.ravel()[order]
    rates = np.cumsum(false_change.ravel()[order]) / false_change.sum()
    shares = np.cumsum(share_change.ravel()[order]) / regions
    last_of_equals = np.append(np.diff(scores) != 0, True)
    x = np.concatenate(([0], np.clip(rates[last_of_equals], None, 1), [1]))
    y = np.concatenate(([0], np.clip(shares[last_of_equals], None, 1), [1]))
    inside = x <= limit
    area = np.trapezoid(y[inside], x[inside])
    if not inside.all() and x[inside][-1] < limit:
        after = int(inside.sum())
        slope = (y[after] - y[after - 1]) / (x[after] - x[after - 1])
        end = y[after - 1] + slope * (limit - x[after - 1])
        area += (end + y[after - 1]) / 2 * (limit - x[after - 1])
    return area / limit
