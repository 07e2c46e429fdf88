"""Results folder with one folder per cell, whose record exists only if the cell is complete."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ltbench.results.errors import ResultsError
from ltbench.results.files import file_digest, read_json
from ltbench.results.places import Place, RemotePath, matches, place, readable
from ltbench.results.reading import checked
from ltbench.results.record import Identity, Record
from ltbench.results.schema import CURVES, METRICS, SCORES
from ltbench.results.status import Status
from ltbench.results.upgrade import upgraded

if TYPE_CHECKING:
    # Importing pandas takes a third of the time of a command that reads no tables.
    import pandas as pd

RECORD = "cell.json"
STARTED = "started.json"
METRICS_FILE = "metrics.parquet"
SCORES_FILE = "scores.parquet"
CURVES_FILE = "curves.parquet"
MAPS_FILE = "maps.npy"
GALLERY_FILE = "gallery.npz"
LOG_FILE = "log.txt"
CONTENT = (METRICS_FILE, SCORES_FILE, CURVES_FILE, MAPS_FILE, GALLERY_FILE)

COMMITS = 8
"""Attempts to store or find a cell behind a URL, where another driver may be storing the same cell."""
WAIT_SECONDS = 0.2


USUAL_VIEW = "resize256-crop224"


def picture_stem(key: str, view: str) -> str:
    """File name, without ending, of a gallery image in a view, since views show different parts of it."""
    return key if view == USUAL_VIEW else f"{key}-{view}"


def slug(name: str) -> str:
    """Convert a name to a folder name: "folder:parts" -> "folder-parts".

    Names with other characters to be replaced get a digest as suffix, so that they stay distinct.
    """
    name = unicodedata.normalize("NFC", name)
    plain = re.sub(r"[^A-Za-z0-9._+=-]+", "-", name)
    if plain == name.replace(":", "-", 1):
        return plain
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class StoredCell:
    """Stored cell: its folder and its record."""

    folder: Place
    content: Mapping[str, Any]
    """Record as a JSON object of the current schema version."""

    @cached_property
    def record(self) -> Record:
        """Record with every value checked; raises ResultsError if a value is missing or wrong."""
        return Record.from_json(self.content, self.folder / RECORD)

    @property
    def status(self) -> Status:
        """Status of the cell, from its record."""
        return Status(self.content["status"])

    def metrics(self) -> pd.DataFrame:
        """Read the rows of the schema METRICS."""
        return _read(self.folder / METRICS_FILE, METRICS)

    def scores(self) -> pd.DataFrame:
        """Read the rows of the schema SCORES, ordered by key."""
        return _read(self.folder / SCORES_FILE, SCORES)

    def curves(self) -> pd.DataFrame:
        """Read the rows of the schema CURVES; no rows if the cell has no curves."""
        if not (self.folder / CURVES_FILE).exists():
            return CURVES.empty_table().to_pandas()
        return _read(self.folder / CURVES_FILE, CURVES)

    def grids(self) -> npt.NDArray[np.float32] | None:
        """Patch scores (N, h, w) in the order of `scores()`, memory-mapped; None if they were not stored."""
        path = self.folder / MAPS_FILE
        if not path.exists():
            return None
        if isinstance(path, RemotePath):
            grids: npt.NDArray[np.float32] = np.load(path.open(), allow_pickle=False)
            return grids
        mapped: npt.NDArray[np.float32] = np.load(path, mmap_mode="r")
        return mapped

    def gallery(self) -> dict[str, npt.NDArray[np.float32]]:
        """Patch score grids of the images that reports show, by key."""
        path = self.folder / GALLERY_FILE
        if not path.exists():
            return {}
        with path.open("rb") as file, np.load(file) as stored:
            return {key: stored[key] for key in stored.files}

    def damage(self) -> str:
        """Compare every file with its digest in the record: "" if all match, else a description."""
        for name, digest in self.content.get("files", {}).items():
            path = self.folder / name
            try:
                actual = file_digest(path)
            except FileNotFoundError:
                return f"'{path}' is missing"
            if actual != digest:
                return f"'{path}' is not what its record says (truncated or changed)"
        return ""


def read_record(path: Place) -> Mapping[str, Any]:
    """Read the record of a finished or started cell as a JSON object of the current schema version.

    Raises ResultsError for a damaged file, a newer version, or an old record that cannot be read.
    """
    content: Mapping[str, Any] = upgraded(read_json(path), path)
    return content


def read_started(folder: Place) -> Identity:
    """Read the identity of the cell that was started in a folder; raises ResultsError."""
    path = folder / STARTED
    same: Identity = checked(Identity, read_record(path).get("identity"), path, ("identity",))
    return same


def cell_folder(dataset: str, split: str, seed: int, method: str, config_digest: str) -> str:
    """Folder of a cell below the results folder, "/" between names."""
    return f"{slug(dataset)}/{slug(split)}/seed{seed}/{slug(method)}-{config_digest[:10]}"


class Store:
    """All cells below a results folder: `<root>/<dataset>/<split>/seed<seed>/<method>-<config digest>/`."""

    def __init__(self, root: Place) -> None:
        self.root = root

    def folder(self, dataset: str, split: str, seed: int, method: str, config_digest: str) -> Place:
        """Path of the folder of a cell."""
        return self.root / cell_folder(dataset, split, seed, method, config_digest)

    def find(self, folder: Place) -> StoredCell | None:
        """Finished cell in a folder, or None; a damaged cell counts as absent, so that it is run again."""
        try:
            cell = StoredCell(folder, read_record(folder / RECORD))
        except ResultsError:
            return None
        return None if cell.damage() else cell

    def settled(self, folder: Place) -> StoredCell | None:
        """Finished cell in a folder, or None, like `find`.

        Behind a URL the search is repeated for some seconds, since another driver may be storing the cell.
        """
        for number in range(COMMITS if isinstance(folder, RemotePath) else 1):
            if number:
                time.sleep(WAIT_SECONDS * number)
            stored = self.find(folder)
            if stored is not None:
                return stored
        return None

    def asked(self, folder: str) -> StoredCell | None:
        """Finished cell by its folder as printed by `results ls`, or by its path or URL; None if absent."""
        typed = place(folder)
        whole = isinstance(typed, RemotePath) or typed.is_absolute()
        return self.find(typed if whole else self.root / folder)

    def cells(self) -> Iterator[StoredCell]:
        """Yield all finished cells in the order of their folders; raises ResultsError for newer versions."""
        for path in matches(self.root, f"*/*/*/*/{RECORD}"):
            yield StoredCell(path.parent, read_record(path))

    def unfinished(self) -> list[Place]:
        """Folders of cells that were started but have no record."""
        # A process may be killed between its last two steps: with a record, the cell is finished.
        finished = {path.parent for path in matches(self.root, f"*/*/*/*/{RECORD}")}
        started = [path.parent for path in matches(self.root, f"*/*/*/*/{STARTED}")]
        return [folder for folder in started if folder not in finished]

    def metrics(self) -> pd.DataFrame:
        """Read the rows of all finished cells; columns of METRICS, possibly no rows."""
        return rows_of(self.cells())

    def remove(self, cell: StoredCell) -> None:
        """Delete a cell with its folder."""
        if isinstance(cell.folder, RemotePath):
            cell.folder.remove_tree()
        else:
            shutil.rmtree(cell.folder)


def rows_of(cells: Iterable[StoredCell]) -> pd.DataFrame:
    """Read the rows of several cells; columns of METRICS, possibly no rows."""
    tables = [_table(cell.folder / METRICS_FILE, METRICS) for cell in cells]
    frame: pd.DataFrame = pa.concat_tables([METRICS.empty_table(), *tables]).to_pandas()
    return frame


def _table(path: Place, schema: pa.Schema) -> pa.Table:
    """Read a parquet file with exactly this schema. Raises ResultsError if it is damaged."""
    try:
        table = pq.ParquetFile(readable(path)).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise ResultsError(
            f"cannot read '{path}': {error}; run the same command again to rebuild the cell"
        ) from error
    # Columns missing in files of older versions are null.
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _read(path: Place, schema: pa.Schema) -> pd.DataFrame:
    """Read a Parquet file of the given schema as a DataFrame."""
    frame: pd.DataFrame = _table(path, schema).to_pandas()
    return frame
