"""Everything that a report is made of, read once from a results folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ltbench.results.asked import Suite, suites
from ltbench.results.errors import ResultsError
from ltbench.results.places import Place, readable
from ltbench.results.record import Identity
from ltbench.results.schema import METRICS
from ltbench.results.store import METRICS_FILE, Store, StoredCell, read_started

VALUE_COLUMNS = ("category", "group", "metric", "recipe", "value", "why")
"""Columns that differ between the rows of a cell; all others come from its record."""
IDENTITY_COLUMNS = (
    "dataset",
    "split",
    "seed",
    "method",
    "config_digest",
    "view",
    "data_digest",
    "split_digest",
)


@dataclass(frozen=True)
class Material:
    """Cells, their values, requested suites, and unfinished cells."""

    root: Place
    cells: Sequence[StoredCell]
    values: pd.DataFrame
    """One row per cell, category and metric: "cell" (position in `cells`) and VALUE_COLUMNS."""
    suites: Sequence[Suite]
    unfinished: Sequence[Identity]
    """Cells that were started and not finished."""

    def rows(self, positions: Sequence[int]) -> pd.DataFrame:
        """Rows of some cells with the columns that `ltbench.reports.aggregate` reads, and "cell"."""
        rows = self.values[self.values["cell"].isin(positions)].reset_index(drop=True)
        facts = pd.DataFrame(
            [
                {
                    **{name: getattr(record.identity, name) for name in IDENTITY_COLUMNS},
                    "status": str(record.status),
                    "error": record.error,
                }
                for record in (self.cells[position].record for position in positions)
            ],
            index=list(positions),
        )
        return pd.concat([rows, facts.loc[rows["cell"]].reset_index(drop=True)], axis=1)

    def suites_of(self, dataset: str, split: str) -> list[Suite]:
        return [suite for suite in self.suites if suite.dataset == dataset and split in suite.splits]


def read(root: Place) -> Material:
    """All finished cells below `root`; raises ResultsError where a file is damaged or too new."""
    store = Store(root)
    cells = list(store.cells())
    return Material(
        root=root,
        cells=cells,
        values=_values(cells),
        suites=suites(root),
        unfinished=[read_started(folder) for folder in store.unfinished()],
    )


def _values(cells: Sequence[StoredCell]) -> pd.DataFrame:
    fields = [METRICS.field(name) for name in VALUE_COLUMNS]
    schema = pa.schema([("cell", pa.int32()), *fields])
    tables = []
    for position, cell in enumerate(cells):
        path = cell.folder / METRICS_FILE
        try:
            # A reader per file: the dataset reader of pyarrow spends milliseconds on each small file.
            with pq.ParquetFile(readable(path)) as file:
                columns = file.read(columns=list(VALUE_COLUMNS), use_threads=False)
        except (OSError, pa.ArrowInvalid) as error:
            raise ResultsError(
                f"cannot read '{path}': {error}; run the cell again: {cell.record.cell.command()}"
            ) from error
        number = pa.array([position] * len(columns), pa.int32())
        tables.append(
            pa.table([number, *(columns[field.name].cast(field.type) for field in fields)], schema=schema)
        )
    frame: pd.DataFrame = pa.concat_tables([schema.empty_table(), *tables]).to_pandas()
    return frame
