"""Two methods on the same categories and seeds: paired tests and the correction for many of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Unit = Literal["category", "category x seed"]
"""What counts as one observation. Seeds of one category share its test images and are no independent
witnesses: a test over "category x seed" finds differences that another set of categories would not show."""

_MOST_ENUMERATED = 13
"""Up to this many observations all sign patterns are counted (2^12 of them by symmetry); more are drawn."""
_DRAWN_PATTERNS = 4999


def contributions(values: Floats, members: Bools, unit: Unit = "category") -> Floats:
    """(method, unit): what each observation adds to the table's number; their sum is that number.

    values: (method, seed, category); members: (seed, category), which categories are in the group. The number
    is the mean over seeds of the mean over the group. Columns without members are left out; NaN marks a hole.
    """
    sizes = members.sum(axis=1, keepdims=True)
    weights = members / np.maximum(sizes, 1) / len(members)
    parts = np.where(members, values, 0.0) * weights
    if unit == "category":
        return np.asarray(parts.sum(axis=1)[:, members.any(axis=0)])
    return np.asarray(parts[:, members])


def sign_flip(differences: Floats, seed: int = 0) -> Floats:
    """(T,) two-sided p-values of T tests of the sum of (T, n) differences under random signs.

    Under the hypothesis that two methods are exchangeable on each observation, every pattern of signs is
    equally likely. All patterns are counted up to 13 observations; above, 4,999 are drawn and the data's own
    is added, so that no p-value is below 1/5,000 (Phipson and Smyth 2010). Without a difference p is 1.
    """
    sums = np.abs(flipped_sums(differences, seed))
    return share_as_large(np.abs(differences.sum(axis=1)), sums)


def range_test(parts: Floats, seed: int = 0) -> Floats:
    """(method,) p-values of "worse than the best" for (method, n) contributions, the family held as a whole.

    The best is found in the same data, so a test against it must allow for its luck. Methods are taken in the
    order of their sums; the distance of the j-th from the first is compared with the largest distance among
    the first j when the signs of each observation's deviations are flipped for all methods together (patterns
    as in `sign_flip`). A method counts as worse only if all that follow it do: p-values do not decrease
    towards the best, which itself has 1. It is Tukey's range test by resampling (Westfall and Young 1993),
    stepping down as Ryan's does; how methods' deviations spread and go together does not matter.
    """
    return stepped_ranges(parts.sum(axis=1), flipped_sums(deviations(parts), seed))


def stepped_ranges(sums: Floats, flipped: Floats) -> Floats:
    """The same from the sums (method,) and, under flipped signs, (method, patterns) of `deviations`."""
    order = np.argsort(-sums, kind="stable")
    ordered = flipped[order]
    largest = np.maximum.accumulate(ordered, axis=0)
    largest -= np.minimum.accumulate(ordered, axis=0, out=ordered)
    p = share_as_large(sums[order[0]] - sums[order], largest)
    stepped = np.empty_like(p)
    stepped[order] = np.maximum.accumulate(p[::-1])[::-1]
    return stepped


def deviations(parts: Floats) -> Floats:
    """(method, n) contributions less each observation's mean: what all methods share has no distance."""
    return np.asarray(parts - parts.mean(axis=0))


def flipped_sums(rows: Floats, seed: int) -> Floats:
    """(T, patterns) sums of (T, n) rows under patterns of signs, the same for all rows.

    Up to 13 columns all patterns whose first sign stays: the others are their opposites.
    """
    tests, count = rows.shape
    if count == 0:
        return np.zeros((tests, 1))
    if count <= _MOST_ENUMERATED:
        sums = rows[:, :1]
        for column in rows[:, 1:].T:
            sums = np.concatenate([sums + column[:, None], sums - column[:, None]], axis=1)
        return sums
    signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, size=(count, _DRAWN_PATTERNS))
    return np.asarray(np.concatenate([rows.sum(axis=1, keepdims=True), rows @ signs], axis=1))


def share_as_large(observed: Floats, drawn: Floats) -> Floats:
    """(T,) share of the drawn (T, patterns) that are at least as large as the observed (T,)."""
    # Equal sums may differ in the last bits.
    slack = 1e-10 * np.abs(drawn).max(initial=0.0)
    return np.asarray(np.count_nonzero(drawn >= (observed - slack)[:, None], axis=1) / drawn.shape[1])


def signed_rank(differences: Floats) -> Floats:
    """(T,) two-sided p-values of Wilcoxon's signed-rank test of (T, n) differences; 1 if all are 0, zeros
    dropped."""
    p = np.ones(len(differences))
    for test, row in enumerate(differences):
        if np.any(row != 0):
            p[test] = stats.wilcoxon(row[row != 0]).pvalue
    return p


def holm(p: Floats) -> Floats:
    """Holm's step-down correction (1979) of (T,) p-values: holds whatever their dependence."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def pairwise(values: Floats, members: Bools, *, unit: Unit = "category", seed: int = 0) -> Floats:
    """(method, method) sign-flip p-values of every pair, Holm-corrected over all pairs; 1 on the diagonal.

    NaN for pairs with a method that has a hole.
    """
    parts = contributions(values, members, unit)
    count = len(parts)
    whole = np.flatnonzero(~np.isnan(parts).any(axis=1))
    matrix = np.full((count, count), np.nan)
    matrix[whole, whole] = 1.0
    first, second = (whole[side] for side in np.triu_indices(len(whole), 1))
    p = holm(sign_flip(parts[first] - parts[second], seed))
    matrix[first, second] = matrix[second, first] = p
    return matrix
