"""Two methods on the same categories and seeds: paired tests, Holm's correction, tie groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Test = Literal["sign flip", "signed rank"]
Unit = Literal["category", "category x seed"]
"""What counts as one observation. Seeds of one category share its test images and are no independent
witnesses: a test over "category x seed" finds differences that another set of categories would not show."""

_MOST_ENUMERATED = 15
"""Up to this many observations all sign patterns are counted (2^14 of them by symmetry); more are drawn."""
_DRAWN_PATTERNS = 9999


@dataclass(frozen=True)
class Comparison:
    """All methods of a table against its best one."""

    best: int | None
    """Position of the highest mean; None if no method has one."""
    p: Floats
    """(method,) of the paired test against the best; NaN for itself and for methods without a mean."""
    p_holm: Floats
    """(method,) after Holm's correction over the rivals of the best."""
    tier: npt.NDArray[np.int64]
    """(method,) 1 = the best group: the best and all that are not significantly worse; 2 = the same among the
    others, and so on. 0 for methods that take no part."""
    units: int
    """Observations per test."""
    why: str
    """Why no difference can be significant; "" if one can."""


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


def compare(
    values: Floats,
    members: Bools,
    eligible: Bools | None = None,
    *,
    test: Test = "sign flip",
    unit: Unit = "category",
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Test every method against the best and sort them into tie groups.

    values: (method, seed, category); members: (seed, category). Methods that are not `eligible` (method,) or
    have a hole among the members take no part.
    """
    parts = contributions(values, members, unit)
    count, units = parts.shape
    takes_part = ~np.isnan(parts).any(axis=1) & (members.any(axis=1).all() and units > 0)
    if eligible is not None:
        takes_part &= eligible
    means = np.where(takes_part, parts.sum(axis=1), -np.inf)
    p, p_holm, tier = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    rest = list(np.flatnonzero(takes_part))
    first = int(np.argmax(means)) if rest else None
    while rest:
        best = max(rest, key=lambda method: (means[method], -method))
        rivals = [method for method in rest if method != best]
        differences = parts[best] - parts[rivals]
        raw = sign_flip(differences, seed) if test == "sign flip" else signed_rank(differences)
        corrected = holm(raw)
        if best == first:
            p[rivals], p_holm[rivals] = raw, corrected
        tied = [method for method, value in zip(rivals, corrected, strict=True) if value > 1 - level]
        tier[[best, *tied]] = tier.max() + 1
        rest = [method for method in rivals if method not in tied]
    return Comparison(first, p, p_holm, tier, units, _powerless(units, unit, level))


def sign_flip(differences: Floats, seed: int = 0) -> Floats:
    """(T,) two-sided p-values of T tests of the sum of (T, n) differences under random signs.

    Under the hypothesis that two methods are exchangeable on each observation, every pattern of signs is
    equally likely. All patterns are counted up to 15 observations; above, 9,999 are drawn and the data's own
    is added, so that no p-value is below 1/10,000 (Phipson and Smyth 2010). Without a difference p is 1.
    """
    tests, count = differences.shape
    if count == 0:
        return np.ones(tests)
    # Equal sums may differ in the last bits.
    least = np.abs(differences.sum(axis=1)) - 1e-10 * np.abs(differences).sum(axis=1)
    if count <= _MOST_ENUMERATED:
        # A pattern and its opposite have the same absolute sum: the first sign stays.
        sums = differences[:, :1]
        for column in differences[:, 1:].T:
            sums = np.concatenate([sums + column[:, None], sums - column[:, None]], axis=1)
        return np.asarray(np.mean(np.abs(sums) >= least[:, None], axis=1))
    signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, size=(count, _DRAWN_PATTERNS))
    extreme = np.sum(np.abs(differences @ signs) >= least[:, None], axis=1)
    return np.asarray((extreme + 1) / (_DRAWN_PATTERNS + 1))


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


def _powerless(units: int, unit: Unit, level: float) -> str:
    least = 2.0 ** (1 - units)
    if units and least <= 1 - level:
        return ""
    what = {"category": "categories", "category x seed": "pairs of category and seed"}[unit]
    return f"{units} {what} cannot show a difference at level {1 - level:.2g}: the smallest p is {least:.2g}"
