"""Tie groups: which methods cannot be told from the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltbench.reports.statistics.paired import (
    Bools,
    Floats,
    Unit,
    contributions,
    deviations,
    flipped_sums,
    holm,
    sign_flip,
    signed_rank,
    stepped_ranges,
)

Test = Literal["range", "sign flip", "signed rank"]
"""How "significantly worse than the best" is decided: by `paired.range_test`, or by `sign_flip` or
`signed_rank` against the best with Holm's correction over its rivals. The latter two take the best as if it
had been named before the data were seen: of k equal methods they exclude one in 7 % (k = 3) to 15 % (k = 12)
of tables where 5 % are allowed."""


@dataclass(frozen=True)
class Comparison:
    """All methods of a table against its best one."""

    best: int | None
    """Position of the highest mean; None if no method has one."""
    p: Floats
    """(method,) of the paired test against the best alone; NaN for itself and for methods that take no
    part."""
    p_adjusted: Floats
    """(method,) with all rivals of the best taken into account: what the tie groups are made from."""
    tier: npt.NDArray[np.int64]
    """(method,) 1 = the best group: the best and all that are not significantly worse; 2 = the same among the
    others, and so on. 0 for methods that take no part."""
    units: int
    """Observations per test."""
    why: str
    """Why no difference can be significant; "" if one can."""


def compare(
    values: Floats,
    members: Bools,
    eligible: Bools | None = None,
    *,
    test: Test = "range",
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
    rest = [int(method) for method in np.argsort(-means, kind="stable")[: np.count_nonzero(takes_part)]]
    p, adjusted = np.full(count, np.nan), np.full(count, np.nan)
    tier = np.zeros(count, dtype=np.int64)
    first = rest[0] if rest else None
    # Signs are flipped once for all tie groups.
    flipped = (
        flipped_sums(deviations(parts[rest]), seed) if test == "range" and rest else np.empty((len(rest), 0))
    )
    while rest:
        best, rivals = rest[0], rest[1:]
        flipped = flipped[-len(rest) :]
        if test == "range":
            corrected = stepped_ranges(means[rest], flipped)[1:]
        else:
            corrected = holm(_raw(parts, best, rivals, test, seed))
        if best == first:
            p[rivals], adjusted[rivals] = _raw(parts, best, rivals, test, seed), corrected
        tied = [method for method, value in zip(rivals, corrected, strict=True) if value > 1 - level]
        tier[[best, *tied]] = tier.max() + 1
        rest = [method for method in rivals if method not in tied]
    return Comparison(first, p, adjusted, tier, units, _powerless(units, unit, level))


def _raw(parts: Floats, best: int, rivals: list[int], test: Test, seed: int) -> Floats:
    differences = parts[best] - parts[rivals]
    return signed_rank(differences) if test == "signed rank" else sign_flip(differences, seed)


def _powerless(units: int, unit: Unit, level: float) -> str:
    least = 2.0 ** (1 - units)
    if units and least <= 1 - level:
        return ""
    what = {"category": "categories", "category x seed": "pairs of category and seed"}[unit]
    return f"{units} {what} cannot show a difference at level {1 - level:.2g}: the smallest p is {least:.2g}"
