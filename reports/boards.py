"""Boards: one per data set, split and overlap policy, with cells of one protocol only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ltbench.reports.conflicts import protocol_conflicts
from ltbench.reports.cube import Asked, Cube, cubes
from ltbench.reports.entries import Entry, entries
from ltbench.reports.material import Material
from ltbench.results.asked import Suite
from ltbench.results.record import CategoryCounts, DatasetRecord, Identity, SplitRecord
from ltbench.results.store import StoredCell, slug


@dataclass(frozen=True)
class Odd:
    """Cell that is excluded from the board's tables, with the reason."""

    cell: StoredCell
    why: str


@dataclass(frozen=True)
class Metric:
    """A column family of a board."""

    name: str
    title: str
    recipe: str
    needs: str = ""
    """ "scores" or "maps"."""
    order: int = 0
    unit: str = "%"
    """ "%" for fractions that are shown in percent."""
    higher_is_better: bool = True
    curve: str = ""
    """Stored curve under which it is the area: "pro" or ""."""

    @property
    def column_unit(self) -> str:
        """The unit as a table's column has it: "" for percent."""
        return "" if self.unit == "%" else self.unit


@dataclass(frozen=True, eq=False)
class Board:
    """All comparable cells of one data set, split and overlap policy."""

    name: str
    """Name in file names: "mvtec--pareto"."""
    dataset: str
    split: str
    overlap_policy: str
    entries: Sequence[Entry]
    seeds: tuple[int, ...]
    categories: tuple[str, ...]
    """Large training sets first."""
    metrics: Sequence[Metric]
    rows: pd.DataFrame
    """Result rows of all cells of one protocol: what `ltbench.reports.aggregate` and the statistics take."""
    splits: Mapping[int, SplitRecord]
    """Record of the split, by seed."""
    odd: Sequence[Odd]
    suites: Sequence[Suite]
    started: Sequence[Identity]
    """Cells of methods of which no seed has finished here."""

    @cached_property
    def dataset_facts(self) -> DatasetRecord:
        """The data set's entry of a record: title, licence, citation, address, digest."""
        return self.entries[0].record.dataset

    @cached_property
    def dataset_title(self) -> str:
        return self.dataset_facts.title or self.dataset

    @cached_property
    def view(self) -> str:
        return self.entries[0].record.identity.view

    @property
    def is_as_published(self) -> bool:
        """Whether training defects are tested too, as in the papers, whose numbers compare only then."""
        return self.overlap_policy == "paper"

    @property
    def asked(self) -> tuple[int, ...]:
        """Seeds that every method has to finish."""
        return self.entries[0].asked

    @cached_property
    def cube(self) -> Cube:
        """Rows as dense arrays over methods, metrics, requested seeds and categories."""
        return next(cubes(self.rows, self.wanted))

    @property
    def wanted(self) -> Asked:
        """Requested seeds in the form that `ltbench.reports.aggregate` takes."""
        return {(self.dataset, self.split): self.asked}

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the groups of categories: rare ones first, as in the papers' tables, "all" last."""
        return self.cube.group_names

    def counts(self, seed: int) -> dict[str, CategoryCounts]:
        """Numbers of images by category."""
        return {row.category: row for row in self.splits[seed].categories}


def boards(material: Material) -> list[Board]:
    """All boards, by data set and split."""
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for position, cell in enumerate(material.cells):
        same = cell.record.identity
        cells[same.dataset, same.split, same.overlap_policy].append(position)
    return [_board(*key, positions, material) for key, positions in sorted(cells.items())]


def _board(dataset: str, split: str, overlap: str, positions: Sequence[int], material: Material) -> Board:
    rows = material.rows(positions)
    conflicts = protocol_conflicts(rows)
    # A cell with one odd row is odd as a whole: the others of its numbers may depend on the same difference.
    odd = conflicts.assign(cell=rows.loc[conflicts.index, "cell"]).drop_duplicates("cell").sort_values("cell")
    apart = {int(row.cell): _told(row.what, row.found, row.expected) for row in odd.itertuples(index=False)}
    kept = [position for position in positions if position not in apart]
    rows = rows[~rows["cell"].isin(list(apart))]
    cells = [material.cells[position] for position in kept]
    # Suites ask for the papers' protocol: without the overlap, it is another test set.
    suites = material.suites_of(dataset, split) if overlap == "paper" else []
    started = [cell for cell in material.unfinished if (cell.dataset, cell.split) == (dataset, split)]
    # Also of suites that were cut to a few images: their boards have other names, their rows the same.
    telling = (*reversed(material.suites), *reversed(suites))
    labels = {name: label for suite in telling for name, label in suite.labels.items()}
    lines = entries(cells, frozenset(seed for suite in suites for seed in suite.seeds), started, labels)
    known = {(entry.method, entry.config_digest) for entry in lines}
    splits = {cell.record.identity.seed: cell.record.split for cell in cells}
    return Board(
        name=f"{slug(dataset)}--{slug(split)}" + ("" if overlap == "paper" else f"--overlap-{slug(overlap)}"),
        dataset=dataset,
        split=split,
        overlap_policy=overlap,
        entries=lines,
        seeds=tuple(sorted(splits)),
        categories=_categories(splits),
        metrics=_metrics(cells),
        rows=rows,
        splits=splits,
        odd=[Odd(material.cells[position], why) for position, why in apart.items()],
        suites=suites,
        started=[cell for cell in started if (cell.method, cell.config_digest) not in known],
    )


def _told(what: str, found: str, expected: str) -> str:
    """Sentence on a cell that differs from its board, with shortened digests."""
    texts = [text[:12] if "digest" in what else text for text in (str(found), str(expected))]
    return f"{what} is “{texts[0]}”, the board has “{texts[1]}”"


def _categories(splits: Mapping[int, SplitRecord]) -> tuple[str, ...]:
    sizes: dict[str, int] = defaultdict(int)
    for split in splits.values():
        for row in split.categories:
            sizes[row.category] += row.n_train
    return tuple(sorted(sizes, key=lambda name: (-sizes[name], name)))


def _metrics(cells: Sequence[StoredCell]) -> list[Metric]:
    found: dict[str, Metric] = {}
    for cell in cells:
        for name, facts in cell.record.metrics.items():
            known = Metric(
                name, facts.title or name, facts.recipe, facts.needs, facts.order, facts.unit,
                facts.higher_is_better, facts.curve,
            )  # fmt: skip
            found.setdefault(name, known)
    return sorted(found.values(), key=lambda metric: metric.order)
