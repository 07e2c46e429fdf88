"""Tie groups: methods not significantly worse than the best, by a range test over categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_MOST_ENUMERATED = 13
"""Up to this many categories all sign patterns are counted (2^12 of them by symmetry); more are drawn."""
_DRAWN_PATTERNS = 4999


@dataclass(frozen=True)
class Comparison:
    """All methods of a table against its best one."""

    p: Floats
    """(method,) of the range test; NaN for the best itself and for methods that take no part."""
    tier: npt.NDArray[np.int64]
    """(method,) 1 = the best group: the best and all that are not significantly worse; 2 = the same among the
    others, and so on. 0 for methods that take no part."""
    categories: int
    """Observations per test."""
    why: str
    """Reason why no difference can be significant; "" if one can."""


def compare(
    values: Floats, members: Bools, eligible: Bools | None = None, *, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Test every method against the best and sort them into tie groups.

    values: (method, seed, category); members: (seed, category). Methods that are not `eligible` (method,) or
    have a hole among the members take no part.
    """
    parts = contributions(values, members)
    count, categories = parts.shape
    takes_part = ~np.isnan(parts).any(axis=1) & (members.any(axis=1).all() and categories > 0)
    if eligible is not None:
        takes_part &= eligible
    means = np.where(takes_part, parts.sum(axis=1), -np.inf)
    rest = [int(method) for method in np.argsort(-means, kind="stable")[: np.count_nonzero(takes_part)]]
    p, tier = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    # Signs are flipped once for all tie groups.
    flipped = flipped_sums(deviations(parts[rest]), seed) if rest else np.empty((0, 0))
    while rest:
        best, rivals = rest[0], rest[1:]
        corrected = stepped_ranges(means[rest], flipped[-len(rest) :])[1:]
        if not tier.any():
            p[rivals] = corrected
        tied = [method for method, value in zip(rivals, corrected, strict=True) if value > 1 - level]
        tier[[best, *tied]] = tier.max() + 1
        rest = [method for method in rivals if method not in tied]
    least = 2.0 ** (1 - categories)
    why = (
        ""
        if categories and least <= 1 - level
        else (
            f"{categories} categories cannot show a difference at level {1 - level:.2g}: "
            f"the smallest p is {least:.2g}"
        )
    )
    return Comparison(p, tier, categories, why)


def contributions(values: Floats, members: Bools) -> Floats:
    """(method, category): what each category adds to the table's number; their sum is that number.

    values: (method, seed, category); members: (seed, category), which categories are in the group. The number
    is the mean over seeds of the mean over the group. Categories without members are left out; NaN marks a
    hole. Seeds of one category share its test images, are not independent, and make one observation.
    """
    sizes = members.sum(axis=1, keepdims=True)
    weights = members / np.maximum(sizes, 1) / len(members)
    parts = np.where(members, values, 0.0) * weights
    return np.asarray(parts.sum(axis=1)[:, members.any(axis=0)])


def stepped_ranges(sums: Floats, flipped: Floats) -> Floats:
    """(method,) p-values of "worse than the best", the family held as a whole.

    The best is found in the same data, so a test against it must allow for its luck. Methods are taken in the
    order of their sums; the distance of the j-th from the first is compared with the largest distance among
    the first j when the signs of each observation's deviations are flipped for all methods together. A method
    counts as worse only if all that follow it do: p-values do not decrease towards the best, which itself
    has 1. It is Tukey's range test by resampling (Westfall and Young 1993), stepping down as Ryan's does; how
    methods' deviations spread and go together does not matter. Drawn patterns include the data's own, so that
    no p-value is below 1/5,000 (Phipson and Smyth 2010).

    Args:
        sums: (method,) sums of the contributions.
        flipped: (method, patterns) sums of their deviations under flipped signs, from `flipped_sums`.
    """
    order = np.argsort(-sums, kind="stable")
    ordered = flipped[order]
    largest = np.maximum.accumulate(ordered, axis=0)
    largest -= np.minimum.accumulate(ordered, axis=0, out=ordered)
    p = share_as_large(sums[order[0]] - sums[order], largest)
    stepped = np.empty_like(p)
    stepped[order] = np.maximum.accumulate(p[::-1])[::-1]
    return stepped


def deviations(parts: Floats) -> Floats:
    """Contributions (method, n) minus each observation's mean over methods, their common part."""
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
