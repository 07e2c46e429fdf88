"""A number of a table with its evidence: seeds, intervals and standing, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ltbench.reports.statistics.intervals import seed_interval
from ltbench.reports.statistics.standings import Standing

Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Number:
    """Mean over seeds; a fraction for scores, in the column's unit for costs."""

    mean: float | None
    sd: float | None = None
    """Sample standard deviation over seeds; None with fewer than two."""
    by_seed: tuple[tuple[int, float | None], ...] = ()
    why: str = ""
    """Reason for a missing `mean`; "" if there is one."""
    mark: Mark = ""
    interval: tuple[float, float] | None = None
    """95 % interval of the mean over seeds, of fractions."""
    images: tuple[float, float] | None = None
    """95 % interval over the test images, where their scores are stored."""
    standing: Standing | None = None
    """Rank of the number in its column; None if it is not ranked."""


def number(seeds: Sequence[int], values: Iterable[float], why: str, *, is_fraction: bool = True) -> Number:
    """A number from one value per finished seed; no mean if one of them is NaN, since it would mislead."""
    told = [None if math.isnan(value) else float(value) for value in values]
    by_seed = tuple(zip(seeds, told, strict=True))
    known = [value for value in told if value is not None]
    if not known or len(known) < len(told):
        return Number(None, None, by_seed, why)
    # math.fsum and not numpy: there are a hundred thousand of these, each of a few values.
    mean = math.fsum(known) / len(known)
    if len(known) == 1:
        return Number(mean, None, by_seed)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1))
    return Number(mean, sd, by_seed, interval=seed_interval(mean, sd, len(known)) if is_fraction else None)


def gap_number(rare: Number, frequent: Number) -> Number:
    """Score on frequent categories minus score on rare ones, seed by seed."""
    if rare.mean is None or frequent.mean is None:
        return Number(None, why=rare.why or frequent.why)
    pairs = [
        (seed, (high - low) if low is not None and high is not None else float("nan"))
        for (seed, low), (_, high) in zip(rare.by_seed, frequent.by_seed, strict=True)
    ]
    return number([seed for seed, _ in pairs], [value for _, value in pairs], "", is_fraction=False)
