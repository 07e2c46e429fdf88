"""Printed tables of the papers: one cell of a table is one row of `data/*.csv`.

A cell is identified by table, printed method, split, category and metric. Categories have the names of
ltbench's data sets; aggregates over categories are the groups "all", "high", "low", "head", "tail" and "std"
(standard deviation). Cells that a paper leaves empty ("-", "N/A") have no row.

`tailedcore_noise.csv` holds the means and deviations of a figure of TailedCore, from
`logs_plot/tailedpatch_result_summary - noise_ratio.csv` of roomo7time/tailedcore (MIT) at commit 59bcb27,
which calls the method TailedPatch.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ltbench.results.errors import ResultsError
from ltbench.results.published.papers import PAPERS

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent / "data"
TABLES_FILE = FOLDER / "tables.csv"
FLAGS = ("aggregate", "relabelled", "garbled", "corrected", "suspicious")


class CellName(NamedTuple):
    """Unique name of a cell by its position in a paper."""

    paper: str
    table: int
    split: str
    printed_method: str
    metric: str
    category: str


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """Printed number of a paper."""

    paper: str
    table: int
    """Printed number of the table; from 101 on, panels of a figure, see `Table.kind`."""
    dataset: str
    split: str
    """Name of ltbench's recipe: "ltad_exp100", "step_k4", "meds_nr20", "fuiad_nr10" (Real-IAD's lists)."""
    printed_method: str
    method: str
    """Name of ltbench's method ("dinomaly+meds" is MeDS with Dinomaly as host), or else as printed."""
    category: str
    printed_category: str
    """Category in the printed header, if that is wrong; else ""."""
    metric: str
    printed: str
    """Number as printed, without mark-up."""
    value: float
    """Value in percent."""
    note: str
    aggregate: bool
    """Whether it is a mean or deviation over categories."""
    relabelled: bool
    """Whether the printed header or caption names another category or split (see the lint)."""
    garbled: bool
    """Whether the printed text is not a number: a stray space, a lost or doubled decimal point."""
    corrected: bool
    """Whether `value` differs from the printed text, as the paper's own means prove."""
    suspicious: bool
    """Whether a finding of the lint doubts this number."""

    @property
    def name(self) -> CellName:
        """Name by which findings and corrections refer to the cell."""
        return CellName(self.paper, self.table, self.split, self.printed_method, self.metric, self.category)

    @property
    def fraction(self) -> float:
        """Value on the scale of measured results, 0 to 1."""
        return self.value / 100

    @property
    def source(self) -> str:
        """Paper and table, e.g. "LTAD, Table 10"."""
        return f"{PAPERS[self.paper].short}, {table(self.paper, self.table).title}"


@dataclass(frozen=True)
class Table:
    """Description of a printed table."""

    paper: str
    table: int
    kind: str
    """"main", "per class", "ablation", "label correction", or "figure" for the numbers behind a figure."""
    place: str
    """Position of a figure in the paper."""
    decimals: int
    """Number of printed decimals, including trailing zeros."""
    protocol: str
    printed_split: str
    """Split in the caption, if that is wrong; else ""."""
    caption: str
    """Caption in ltbench's words."""
    datasets: tuple[str, ...]
    splits: tuple[str, ...]
    metrics: tuple[str, ...]
    methods: int
    """Number of printed methods and variants."""
    categories: int
    """Number of single categories; 0 in a table of means."""
    cells: int

    @property
    def title(self) -> str:
        """Title, e.g. "Table 10"."""
        return self.place if self.kind == "figure" else f"Table {self.table}"

    @property
    def unit(self) -> float:
        """One unit of the last printed digit."""
        return float(10**-self.decimals)


@cache
def cells(paper: str | None = None) -> tuple[PublishedCell, ...]:
    """Printed numbers of all papers or of one, table by table. Raises ResultsError for an unknown paper."""
    if paper is None:
        return _all_cells()
    if paper not in PAPERS:
        raise ResultsError(f"no paper is called '{paper}': known are {', '.join(PAPERS)}")
    return tuple(cell for cell in _all_cells() if cell.paper == paper)


def load(paper: str | None = None) -> pd.DataFrame:
    """Printed numbers as a DataFrame, one row per cell with the fields of PublishedCell as columns."""
    import pandas as pd

    names = [field.name for field in fields(PublishedCell)]
    rows = [[getattr(cell, name) for name in names] for cell in cells(paper)]
    return pd.DataFrame(rows, columns=names)


@cache
def tables() -> tuple[Table, ...]:
    """Descriptions of all printed tables, paper by paper."""
    members: dict[tuple[str, int], list[PublishedCell]] = {}
    for cell in _all_cells():
        members.setdefault((cell.paper, cell.table), []).append(cell)
    return tuple(_describe(row, members[row["paper"], int(row["table"])]) for row in _rows(TABLES_FILE))


@cache
def table(paper: str, number: int) -> Table:
    """Description of one table. Raises ResultsError if the paper has no such table."""
    for description in tables():
        if (description.paper, description.table) == (paper, number):
            return description
    raise ResultsError(f"'{paper}' has no Table {number} of results: see `ltbench published ls`")


def parse(row: dict[str, str]) -> PublishedCell:
    """Parse a row of a CSV file. Raises ResultsError for an unknown flag."""
    flags = set(row["flags"].split())
    if unknown := flags - set(FLAGS):
        raise ResultsError(f"unknown flags {sorted(unknown)} in {row}: expected some of {', '.join(FLAGS)}")
    return PublishedCell(
        paper=row["paper"],
        table=int(row["table"]),
        dataset=row["dataset"],
        split=row["split"],
        printed_method=row["printed_method"],
        method=row["method"],
        category=row["category"],
        printed_category=row["printed_category"],
        metric=row["metric"],
        printed=row["printed"],
        value=float(row["value"]),
        note=row["note"],
        aggregate="aggregate" in flags,
        relabelled="relabelled" in flags,
        garbled="garbled" in flags,
        corrected="corrected" in flags,
        suspicious="suspicious" in flags,
    )


@cache
def _all_cells() -> tuple[PublishedCell, ...]:
    """All printed numbers in the order of papers, tables and files."""
    order = list(PAPERS)
    files = sorted(path for path in FOLDER.glob("*.csv") if path != TABLES_FILE)
    read = (parse(row) for path in files for row in _rows(path))
    # The sort is stable, so that cells of a table keep the order of its file.
    return tuple(sorted(read, key=lambda cell: (order.index(cell.paper), cell.table)))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _describe(row: dict[str, str], members: list[PublishedCell]) -> Table:
    """Describe a table by its row in the list of tables and its cells."""

    def distinct(name: str) -> tuple[str, ...]:
        return tuple(sorted({getattr(cell, name) for cell in members}))

    return Table(
        paper=row["paper"],
        table=int(row["table"]),
        kind=row["kind"],
        place=row["place"],
        decimals=int(row["decimals"]),
        protocol=row["protocol"],
        printed_split=row["printed_split"],
        caption=row["caption"],
        datasets=distinct("dataset"),
        splits=distinct("split"),
        metrics=distinct("metric"),
        methods=len(distinct("printed_method")),
        categories=len({cell.category for cell in members if not cell.aggregate}),
        cells=len(members),
    )
