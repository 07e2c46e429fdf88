"""The results folder: one folder per cell, written so that its record exists only when it is complete."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from results.errors import ResultsError
from results.files import file_digest, read_json, write_atomically, write_json
from results.schema import METRICS, SCHEMA_VERSION, SCORES
from results.status import Status

RECORD = "cell.json"
STARTED = "started.json"
METRICS_FILE = "metrics.parquet"
SCORES_FILE = "scores.parquet"
MAPS_FILE = "maps.npy"
GALLERY_FILE = "gallery.npz"
LOG_FILE = "log.txt"


def slug(name: str) -> str:
    """A name as a folder: "folder:parts" -> "folder-parts"."""
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", name)


@dataclass(frozen=True)
class StoredCell:
    """One cell's folder and its record."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def status(self) -> Status:
        return Status(self.record["status"])

    def metrics(self) -> pd.DataFrame:
        """Rows of the schema METRICS."""
        return _read(self.folder / METRICS_FILE, METRICS)

    def scores(self) -> pd.DataFrame:
        """Rows of the schema SCORES, ordered by key."""
        return _read(self.folder / SCORES_FILE, SCORES)

    def grids(self) -> npt.NDArray[np.float32] | None:
        """(N, h, w) patch scores in the order of `scores()`, memory-mapped; None where they were not kept."""
        path = self.folder / MAPS_FILE
        return np.load(path, mmap_mode="r") if path.exists() else None

    def gallery(self) -> dict[str, npt.NDArray[np.float32]]:
        """Patch score grids of the few images that the report shows, by key."""
        path = self.folder / GALLERY_FILE
        if not path.exists():
            return {}
        with np.load(path) as stored:
            return {key: stored[key] for key in stored.files}

    def damage(self) -> str:
        """ "" if every file is what the record says, else a sentence."""
        for name, digest in self.record.get("files", {}).items():
            path = self.folder / name
            if not path.exists():
                return f"'{path}' is missing"
            if file_digest(path) != digest:
                return f"'{path}' is not what its record says (truncated or changed)"
        return ""


class CellWriter:
    """Fills one cell's folder; `finish` writes the record last, so that its existence means "complete"."""

    def __init__(self, folder: Path, started: Mapping[str, Any]) -> None:
        self.folder = folder
        self._files: dict[str, str] = {}
        write_json(folder / STARTED, dict(started))
        # The record goes first: without it the other files do not count.
        for name in (RECORD, METRICS_FILE, SCORES_FILE, MAPS_FILE, GALLERY_FILE):
            (folder / name).unlink(missing_ok=True)

    def write_table(self, name: str, table: pa.Table) -> None:
        self._write(name, lambda file: pq.write_table(table, file, compression="zstd"))

    def write_array(self, name: str, array: npt.NDArray[np.float32]) -> None:
        self._write(name, lambda file: np.save(file, array, allow_pickle=False))

    def write_gallery(self, grids: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self._write(GALLERY_FILE, lambda file: np.savez(file, allow_pickle=False, **dict(grids)))

    def finish(self, record: Mapping[str, Any]) -> StoredCell:
        """Write the record; from now on the cell is found."""
        complete = {"schema_version": SCHEMA_VERSION, **record, "files": self._files}
        write_json(self.folder / RECORD, complete)
        (self.folder / STARTED).unlink(missing_ok=True)
        return StoredCell(self.folder, complete)

    def _write(self, name: str, write: Any) -> None:
        # Into memory first: pyarrow and numpy want to seek, and the files are small.
        buffer = io.BytesIO()
        write(buffer)
        write_atomically(self.folder / name, lambda file: file.write(buffer.getbuffer()))
        self._files[name] = file_digest(self.folder / name)


def rewrite_metrics(cell: StoredCell, rows: pa.Table, record: Mapping[str, Any]) -> StoredCell:
    """Replace a finished cell's rows; the other files stay."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    place = cell.folder / METRICS_FILE
    # Between the two writes the record does not fit the file, so a crash there means "run again", not a lie.
    write_atomically(place, lambda file: file.write(buffer.getbuffer()))
    fresh = {**record, "files": {**record["files"], METRICS_FILE: file_digest(place)}}
    write_json(cell.folder / RECORD, fresh)
    return StoredCell(cell.folder, fresh)


class Store:
    """All cells below one folder: `<root>/<dataset>/<split>/seed<seed>/<method>-<config digest>/`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, dataset: str, split: str, seed: int, method: str, config_digest: str) -> Path:
        return (
            self.root / slug(dataset) / slug(split) / f"seed{seed}" / f"{slug(method)}-{config_digest[:10]}"
        )

    def find(self, folder: Path) -> StoredCell | None:
        """The finished cell in this folder, or None; a damaged one counts as absent: it is run again."""
        if not (folder / RECORD).exists():
            return None
        try:
            cell = StoredCell(folder, read_json(folder / RECORD))
        except ResultsError:
            return None
        return None if cell.damage() else cell

    def cells(self) -> Iterator[StoredCell]:
        """All finished cells, in the order of their folders; newer schema versions are refused."""
        for path in sorted(self.root.glob(f"*/*/*/*/{RECORD}")):
            record = read_json(path)
            version = record.get("schema_version")
            if not isinstance(version, int) or version > SCHEMA_VERSION:
                raise ResultsError(
                    f"'{path}' has schema version {version!r}, this ltbench reads up to "
                    f"{SCHEMA_VERSION}: update ltbench"
                )
            yield StoredCell(path.parent, record)

    def unfinished(self) -> list[Path]:
        """Folders of cells that were started and whose process ended before they were finished."""
        return sorted(path.parent for path in self.root.glob(f"*/*/*/*/{STARTED}"))

    def metrics(self) -> pd.DataFrame:
        """The rows of all finished cells; columns of METRICS, possibly no row."""
        tables = [_table(cell.folder / METRICS_FILE, METRICS) for cell in self.cells()]
        frame: pd.DataFrame = pa.concat_tables([METRICS.empty_table(), *tables]).to_pandas()
        return frame

    def remove(self, cell: StoredCell) -> None:
        shutil.rmtree(cell.folder)


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise ResultsError(
            f"cannot read '{path}': {error}; run the same command again to rebuild the cell"
        ) from error
    # Columns that an older version did not have are null.
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _read(path: Path, schema: pa.Schema) -> pd.DataFrame:
    frame: pd.DataFrame = _table(path, schema).to_pandas()
    return frame
