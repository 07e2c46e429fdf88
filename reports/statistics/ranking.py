"""Ranks over categories: Friedman's test, Nemenyi's critical difference, and how far a rank may move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from ltbench.reports.statistics.resampling import drawn_weights

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RankIntervals:
    """Intervals of a table's ranks when its categories and seeds are drawn again (bootstrap)."""

    rank: Floats
    """(method,) in the table, 1 = best; NaN for methods that take no part."""
    low: Floats
    high: Floats
    share_best: Floats
    """(method,) share of the resamples in which the method comes first; a tie is shared."""


def ranks(values: Floats) -> Floats:
    """(blocks, methods) ranks within each block, 1 = highest value, ties averaged."""
    return np.asarray(stats.rankdata(-values, axis=1))


def friedman(values: Floats) -> float:
    """p-value of Friedman's test on (blocks, methods) values, in Iman and Davenport's sharper form (1980).

    Do the methods differ at all? NaN with fewer than two blocks or three methods, or if all values of each
    block are equal. Blocks must be independent: one per category, its seeds averaged (Demsar 2006, section
    3.2.2).
    """
    blocks, methods = values.shape
    if blocks < 2 or methods < 3 or np.all(values == values[:, :1]):
        return math.nan
    chi2 = float(stats.friedmanchisquare(*values.T).statistic)
    rest = blocks * (methods - 1) - chi2
    f = math.inf if rest <= 1e-12 * chi2 else (blocks - 1) * chi2 / rest
    return float(stats.f.sf(f, methods - 1, (methods - 1) * (blocks - 1)))


def critical_difference(methods: int, blocks: int, level: float = 0.95) -> float:
    """Nemenyi's: average ranks that differ by less do not differ significantly (Demsar 2006, section
    3.2.2)."""
    quantile = optimize.brentq(
        lambda x: float(_range_sf(np.array([x]), methods)[0]) - (1 - level), 1e-3, 20.0
    )
    return float(quantile / math.sqrt(2) * math.sqrt(methods * (methods + 1) / (6 * blocks)))


def cliques(average_ranks: Floats, difference: float) -> list[tuple[int, ...]]:
    """Maximal sets of methods whose average ranks lie within `difference`: the bars of the diagram.

    Positions in order of rank; sets of one are left out.
    """
    order = np.argsort(average_ranks, kind="stable")
    ordered = average_ranks[order]
    last = np.searchsorted(ordered, ordered + difference, "right")
    reach = [int(end) for end in last]
    return [
        tuple(int(method) for method in order[start:end])
        for start, end in enumerate(reach)
        if end - start > 1 and (start == 0 or end > reach[start - 1])
    ]


def rank_intervals(
    values: Floats,
    members: Bools,
    eligible: Bools | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> RankIntervals:
    """Ranks of the group's mean when categories and seeds are both drawn again with replacement.

    values: (method, seed, category); members: (seed, category). Methods that are not `eligible` or have a
    hole take no part. Categories and seeds are drawn independently and crossed, which keeps whole rows and
    columns together; a drawn seed without any drawn category of the group is left out.
    """
    takes_part = ~np.isnan(np.where(members, values, 0.0)).any(axis=(1, 2)) & members.any(axis=1).all()
    if eligible is not None:
        takes_part &= eligible
    empty = np.full(len(values), np.nan)
    found = RankIntervals(empty, empty.copy(), empty.copy(), empty.copy())
    if not takes_part.any():
        return found
    rng = np.random.default_rng(seed)
    seeds, categories = members.shape
    of_category = drawn_weights(categories, resamples, rng).T.astype(np.float64)
    of_seed = drawn_weights(seeds, resamples, rng).T.astype(np.float64)
    one = np.ones((1, categories)), np.ones((1, seeds))
    table = _means(values[takes_part], members, *one)
    drawn = _means(values[takes_part], members, of_category, of_seed)
    ranked = ranks(drawn[~np.isnan(drawn).any(axis=1)])
    tail = 100 * (1 - level) / 2
    found.rank[takes_part] = stats.rankdata(-table[0], method="min")
    # Ends are ranks that occurred, not values between two of them.
    found.low[takes_part] = np.floor(np.percentile(ranked, tail, axis=0, method="inverted_cdf"))
    found.high[takes_part] = np.ceil(np.percentile(ranked, 100 - tail, axis=0, method="inverted_cdf"))
    first = ranked == ranked.min(axis=1, keepdims=True)
    found.share_best[takes_part] = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return found


def _means(values: Floats, members: Bools, of_category: Floats, of_seed: Floats) -> Floats:
    """(resamples, method) group means under weights (resamples, category) and (resamples, seed)."""
    methods, seeds, categories = values.shape
    filled = np.where(members, values, 0.0).reshape(methods * seeds, categories)
    summed = (of_category @ filled.T).reshape(-1, methods, seeds)
    sizes = of_category @ members.T.astype(np.float64)  # resample, seed
    weights = of_seed * (sizes > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        by_seed = np.where(sizes > 0, weights / sizes, 0.0)
        total: Floats = np.einsum("rms,rs->rm", summed, by_seed) / weights.sum(axis=1, keepdims=True)
    return total


def _range_sf(x: Floats, count: int) -> Floats:
    """P(range of `count` standard normal variables > x): studentized range, infinite degrees of freedom."""
    z = np.linspace(-9.0, 9.0, 1801)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    inside = special.ndtr(z) - special.ndtr(z - x[:, None])
    # The trapezoid rule converges exponentially for such integrands.
    covered = count * np.sum(density * inside ** (count - 1), axis=1) * (z[1] - z[0])
    return np.asarray(np.clip(1 - covered, 0.0, 1.0))
