"""Boards: one per data set, split and overlap policy, as dense arrays over methods, seeds, categories and metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.entries import Entry, entries
from reports.material import Material, Suite, Unfinished
from reports.protocol import Odd, one_protocol
from results.store import StoredCell, slug

Array = npt.NDArray[np.float64]
ALL = "all"
"""The group of every category."""
_GROUP_ORDER = ("tail", "low", "head", "high")
_METRIC_ORDER = ("auroc", "ap", "pro", "f1")


@dataclass(frozen=True)
class Metric:
    """A column family of a board."""

    name: str
    title: str
    recipe: str


@dataclass(frozen=True, eq=False)
class Board:
    """All comparable cells of one data set, split and overlap policy."""

    name: str
    """As in file names: "mvtec--pareto"."""
    dataset: str
    split: str
    overlap_policy: str
    entries: Sequence[Entry]
    seeds: tuple[int, ...]
    categories: tuple[str, ...]
    """Large training sets first."""
    metrics: Sequence[Metric]
    values: Array
    """(entry, seed, category, metric), 0..1; NaN where there is none, and then `reasons` tells why."""
    reasons: Mapping[tuple[int, int, int, int], str]
    splits: Mapping[int, Mapping[str, Any]]
    """By seed: the split as its record has it."""
    odd: Sequence[Odd]
    suites: Sequence[Suite]
    started: Sequence[Unfinished]
    """Cells of methods of which no seed has finished here."""

    @cached_property
    def dataset_facts(self) -> Mapping[str, Any]:
        """The data set's entry of a record: title, licence, citation, address, digest."""
        facts: Mapping[str, Any] = self.entries[0].record["dataset"]
        return facts

    @cached_property
    def dataset_title(self) -> str:
        return str(self.dataset_facts.get("title") or self.dataset)

    @cached_property
    def view(self) -> str:
        return str(self.entries[0].record["identity"]["view"])

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """Rare classes first, as the papers' tables have it; without "all"."""
        found = {name for split in self.splits.values() for name in split.get("groups", {})}
        return tuple(sorted(found, key=lambda name: (_place(name, _GROUP_ORDER), name)))

    def members(self, seed: int, group: str) -> npt.NDArray[np.bool_]:
        """(category,) True for those of the group in this seed's split."""
        if group == ALL:
            return np.ones(len(self.categories), dtype=bool)
        return np.isin(self.categories, list(self.splits[seed].get("groups", {}).get(group, ())))

    def counts(self, seed: int) -> dict[str, Mapping[str, Any]]:
        """Numbers of images by category."""
        return {row["category"]: row for row in self.splits[seed]["categories"]}


def boards(material: Material) -> list[Board]:
    """All boards, by data set and split."""
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for position, cell in enumerate(material.cells):
        same = cell.record["identity"]
        cells[same["dataset"], same["split"], same.get("overlap_policy", "paper")].append(position)
    rows = {int(position): frame for position, frame in material.values.groupby("cell", sort=False)}
    found = []
    for (dataset, split, overlap), positions in sorted(cells.items()):
        group = [material.cells[position] for position in positions]
        frames = {group[i].folder: rows[p] for i, p in enumerate(positions) if p in rows}
        found.append(_board(dataset, split, overlap, group, frames, material))
    return found


def _board(
    dataset: str, split: str, overlap: str, cells: Sequence[StoredCell], rows: Mapping[Any, Any], material: Material
) -> Board:
    kept, odd = one_protocol(cells)
    suites = material.suites_of(dataset, split)
    started = [cell for cell in material.unfinished if (cell.dataset, cell.split) == (slug(dataset), slug(split))]
    lines = entries(kept, frozenset(seed for suite in suites for seed in suite.seeds), started)
    known = {(slug(entry.method), entry.config_digest[:10]) for entry in lines}
    seeds = tuple(sorted({seed for entry in lines for seed in entry.cells}))
    splits = {cell.record["identity"]["seed"]: cell.record["split"] for cell in kept}
    metrics = _metrics(kept)
    categories = _categories(splits)
    values, reasons = _dense(lines, seeds, categories, [metric.name for metric in metrics], rows)
    return Board(
        name=f"{slug(dataset)}--{slug(split)}" + ("" if overlap == "paper" else f"--overlap-{slug(overlap)}"),
        dataset=dataset,
        split=split,
        overlap_policy=overlap,
        entries=lines,
        seeds=seeds,
        categories=categories,
        metrics=metrics,
        values=values,
        reasons=reasons,
        splits=splits,
        odd=odd,
        suites=suites,
        started=[cell for cell in started if (cell.method, cell.config_digest) not in known],
    )


def _categories(splits: Mapping[int, Mapping[str, Any]]) -> tuple[str, ...]:
    sizes: dict[str, int] = defaultdict(int)
    for split in splits.values():
        for row in split["categories"]:
            sizes[row["category"]] += row["n_train_good"] + row["n_train_defects"]
    return tuple(sorted(sizes, key=lambda name: (-sizes[name], name)))


def _metrics(cells: Sequence[StoredCell]) -> list[Metric]:
    found: dict[str, Metric] = {}
    for cell in cells:
        for name, facts in cell.record["metrics"].items():
            found.setdefault(name, Metric(name, facts.get("title") or name, facts.get("recipe", "")))
    # Image metrics first: every method has them.
    return sorted(found.values(), key=lambda m: (not m.name.startswith("image"), _place(m.name, _METRIC_ORDER), m.name))


def _place(name: str, order: Sequence[str]) -> int:
    """Position of the first text that `name` ends with; after all of them if there is none."""
    return next((position for position, ending in enumerate(order) if name.endswith(ending)), len(order))


def _dense(
    lines: Sequence[Entry],
    seeds: Sequence[int],
    categories: Sequence[str],
    metrics: Sequence[str],
    rows: Mapping[Any, pd.DataFrame],
) -> tuple[Array, dict[tuple[int, int, int, int], str]]:
    values = np.full((len(lines), len(seeds), len(categories), len(metrics)), np.nan)
    reasons: dict[tuple[int, int, int, int], str] = {}
    category_at = {name: position for position, name in enumerate(categories)}
    metric_at = {name: position for position, name in enumerate(metrics)}
    for e, entry in enumerate(lines):
        for s, seed in enumerate(seeds):
            if seed not in entry.cells or (frame := rows.get(entry.cells[seed].folder)) is None:
                continue
            category = frame["category"].map(category_at).to_numpy()
            metric = frame["metric"].map(metric_at).to_numpy()
            value = frame["value"].to_numpy(dtype=np.float64)
            values[e, s, category, metric] = value
            for row in np.flatnonzero(np.isnan(value)):
                reasons[e, s, int(category[row]), int(metric[row])] = str(frame["why"].iloc[row] or "")
    return values, reasons
