"""Sizes of the training categories with their injected defects: the long tail at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.boards import Board
from reports.cube import ALL
from reports.leaderboard import TINTS
from reports.writing import plural


@dataclass(frozen=True)
class Bar:
    """One category; heights in percent of the largest one."""

    category: str
    total: int
    good: float
    bad: float
    tint: str
    title: str


@dataclass(frozen=True)
class Histogram:
    """Bars, largest first."""

    bars: Sequence[Bar]
    caption: str
    summary: str
    legend: Sequence[tuple[str, str]]


def histogram(board: Board) -> Histogram:
    """The first seed's training set."""
    seed = board.seeds[0]
    rows = sorted(board.counts(seed).values(), key=lambda row: (-_total(row), row["category"]))
    top = max((_total(row) for row in rows), default=0) or 1
    bars = [
        Bar(
            category=row["category"],
            total=_total(row),
            good=round(100 * row["n_train_good"] / top, 2),
            bad=round(100 * row["n_train_defects"] / top, 2),
            tint=TINTS.get(row.get("group", ""), ""),
            title=f"{row['category']}: {row['n_train_good']} good, {row['n_train_defects']} defective",
        )
        for row in rows
    ]
    injected = sum(row["n_train_defects"] for row in rows)
    same = all(
        {c: _total(r) for c, r in board.counts(other).items()}
        == {c: _total(r) for c, r in board.counts(seed).items()}
        for other in board.seeds
    )
    which = "the same for every seed" if same else f"of seed {seed}; other seeds have other rare categories"
    if len(board.seeds) == 1:
        which = f"of seed {seed}"
    smallest = min((_total(row) for row in rows), default=0)
    return Histogram(
        bars=bars,
        caption=f"Training images per category, {which}.",
        summary=f"{plural(len(rows), 'category', 'categories')} of {smallest} to {top} training images, "
        f"{injected} injected defects in total; the per-class page has all counts",
        legend=[(TINTS.get(name, ""), name) for name in reversed(board.group_names) if name != ALL],
    )


def _total(row: Mapping[str, Any]) -> int:
    return int(row["n_train_good"]) + int(row["n_train_defects"])
