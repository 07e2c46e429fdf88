"""The results folder: one folder per cell, written so that its record exists only when it is complete."""

from __future__ import annotations

import hashlib
import io
import random
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ltbench.results.errors import ResultsError
from ltbench.results.files import file_digest, read_json, write_bytes, write_json
from ltbench.results.places import Place, RemotePath, matches, place, readable
from ltbench.results.schema import CURVES, METRICS, SCHEMA_VERSION, SCORES
from ltbench.results.status import Status

RECORD = "cell.json"
STARTED = "started.json"
METRICS_FILE = "metrics.parquet"
SCORES_FILE = "scores.parquet"
CURVES_FILE = "curves.parquet"
MAPS_FILE = "maps.npy"
GALLERY_FILE = "gallery.npz"
LOG_FILE = "log.txt"
_CONTENT = (METRICS_FILE, SCORES_FILE, CURVES_FILE, MAPS_FILE, GALLERY_FILE)

_COMMITS = 8
_WAIT_SECONDS = 0.2


USUAL_VIEW = "resize256-crop224"


def picture_stem(key: str, view: str) -> str:
    """How the files of a gallery's picture are called: of one image, every view shows another part."""
    return key if view == USUAL_VIEW else f"{key}-{view}"


def slug(name: str) -> str:
    """A name as a folder: "folder:parts" -> "folder-parts"."""
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", name)


@dataclass(frozen=True)
class StoredCell:
    """One cell's folder and its record."""

    folder: Place
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

    def curves(self) -> pd.DataFrame:
        """Rows of the schema CURVES; none where the cell has no curve or was stored before there were any."""
        if not (self.folder / CURVES_FILE).exists():
            return CURVES.empty_table().to_pandas()
        return _read(self.folder / CURVES_FILE, CURVES)

    def grids(self) -> npt.NDArray[np.float32] | None:
        """(N, h, w) patch scores in the order of `scores()`, memory-mapped; None where they were not kept."""
        path = self.folder / MAPS_FILE
        if not path.exists():
            return None
        if isinstance(path, RemotePath):
            grids: npt.NDArray[np.float32] = np.load(path.open(), allow_pickle=False)
            return grids
        mapped: npt.NDArray[np.float32] = np.load(path, mmap_mode="r")
        return mapped

    def gallery(self) -> dict[str, npt.NDArray[np.float32]]:
        """Patch score grids of the few images that the report shows, by key."""
        path = self.folder / GALLERY_FILE
        if not path.exists():
            return {}
        with path.open("rb") as file, np.load(file) as stored:
            return {key: stored[key] for key in stored.files}

    def damage(self) -> str:
        """ "" if every file is what the record says, else a sentence."""
        for name, digest in self.record.get("files", {}).items():
            path = self.folder / name
            try:
                found = file_digest(path)
            except FileNotFoundError:
                return f"'{path}' is missing"
            if found != digest:
                return f"'{path}' is not what its record says (truncated or changed)"
        return ""


class CellWriter:
    """Fills one cell's folder; `finish` writes the record last, so that its existence means "complete".

    On this machine a lock keeps two writers of one cell apart. Nothing does behind a URL: there everything is
    put at the end, and put again until the record and its files are seen to be of one writer. What another
    driver has finished stays valid meanwhile.
    """

    def __init__(self, folder: Place, started: Mapping[str, Any]) -> None:
        self.folder = folder
        self._files: dict[str, str] = {}
        self._held: dict[str, memoryview] = {}
        write_json(folder / STARTED, dict(started))
        if isinstance(folder, RemotePath):
            return
        # The record goes first: without it the other files do not count.
        for name in (RECORD, *_CONTENT):
            (folder / name).unlink(missing_ok=True)

    def write_table(self, name: str, table: pa.Table) -> None:
        self._hold(name, _parquet(table))

    def write_array(self, name: str, array: npt.NDArray[np.float32]) -> None:
        self._write(name, lambda file: np.save(file, array, allow_pickle=False))

    def write_gallery(self, grids: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self._write(GALLERY_FILE, lambda file: np.savez(file, allow_pickle=False, **dict(grids)))

    def finish(self, record: Mapping[str, Any]) -> StoredCell:
        """Write the record; from now on the cell is found."""
        cell = StoredCell(
            self.folder, {"schema_version": SCHEMA_VERSION, **record, "files": dict(self._files)}
        )
        if isinstance(self.folder, RemotePath):
            self._commit(self.folder, cell)
        else:
            write_json(self.folder / RECORD, cell.record)
        (self.folder / STARTED).unlink(missing_ok=True)
        return cell

    def _write(self, name: str, write: Any) -> None:
        # Into memory first: pyarrow and numpy want to seek, and the files are small.
        buffer = io.BytesIO()
        write(buffer)
        self._hold(name, buffer.getbuffer())

    def _hold(self, name: str, content: memoryview) -> None:
        self._files[name] = hashlib.sha256(content).hexdigest()
        if isinstance(self.folder, RemotePath):
            self._held[name] = content
        else:
            write_bytes(self.folder / name, content)

    def _commit(self, folder: RemotePath, cell: StoredCell) -> None:
        for number in range(_COMMITS):
            for name, content in self._held.items():
                write_bytes(folder / name, content)
            for name in _CONTENT:
                if name not in self._files:
                    (folder / name).unlink(missing_ok=True)
            write_json(folder / RECORD, cell.record)
            stored = Store(folder).find(folder)
            if stored is not None:
                return
            # By chance: writers that wait equally long would meet again every time.
            time.sleep(_WAIT_SECONDS * (number + 1) * random.uniform(0.2, 1.8))
        why = cell.damage() or "its record is unreadable"
        raise ResultsError(
            f"'{folder}' does not keep what is written there ({why}): "
            "end the other run that writes it, then run the same command again"
        )


def rewrite_tables(cell: StoredCell, tables: Mapping[str, pa.Table], record: Mapping[str, Any]) -> StoredCell:
    """Replace some of a finished cell's tables, by file name; one without rows takes its file away.

    The other files stay, and so does what would not change.
    """
    contents = {name: _parquet(rows) if len(rows) else None for name, rows in tables.items()}
    files = {name: digest for name, digest in record["files"].items() if name not in contents}
    files |= {name: hashlib.sha256(content).hexdigest() for name, content in contents.items() if content}
    # From the first write to the last the record does not fit its files, so a crash there means "run again",
    # not a lie.
    for name, content in contents.items():
        if content and files[name] != record["files"].get(name):
            write_bytes(cell.folder / name, content)
    fresh = {**record, "files": files}
    write_json(cell.folder / RECORD, fresh)
    for name, content in contents.items():
        if content is None:
            # Last: a file that no record names is no part of the cell.
            (cell.folder / name).unlink(missing_ok=True)
    return StoredCell(cell.folder, fresh)


def _parquet(rows: pa.Table) -> memoryview:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getbuffer()


class Store:
    """All cells below one folder: `<root>/<dataset>/<split>/seed<seed>/<method>-<config digest>/`."""

    def __init__(self, root: Place) -> None:
        self.root = root

    def folder(self, dataset: str, split: str, seed: int, method: str, config_digest: str) -> Place:
        return (
            self.root / slug(dataset) / slug(split) / f"seed{seed}" / f"{slug(method)}-{config_digest[:10]}"
        )

    def find(self, folder: Place) -> StoredCell | None:
        """The finished cell in this folder, or None; a damaged one counts as absent: it is run again."""
        try:
            cell = StoredCell(folder, read_json(folder / RECORD))
        except ResultsError:
            return None
        return None if cell.damage() else cell

    def settled(self, folder: Place) -> StoredCell | None:
        """What `find` gives; behind a URL, where another driver may just be putting the same cell, looked for
        again during some seconds before it counts as absent.
        """
        for number in range(_COMMITS if isinstance(folder, RemotePath) else 1):
            if number:
                time.sleep(_WAIT_SECONDS * number)
            stored = self.find(folder)
            if stored is not None:
                return stored
        return None

    def asked(self, folder: str) -> StoredCell | None:
        """The finished cell in a folder as `results ls` prints it, or as a person types its path or URL."""
        typed = place(folder)
        whole = isinstance(typed, RemotePath) or typed.is_absolute()
        return self.find(typed if whole else self.root / folder)

    def cells(self) -> Iterator[StoredCell]:
        """All finished cells, in the order of their folders; newer schema versions are refused."""
        for path in matches(self.root, f"*/*/*/*/{RECORD}"):
            record = read_json(path)
            version = record.get("schema_version")
            if not isinstance(version, int) or version > SCHEMA_VERSION:
                raise ResultsError(
                    f"'{path}' has schema version {version!r}, this ltbench reads up to "
                    f"{SCHEMA_VERSION}: update ltbench"
                )
            yield StoredCell(path.parent, record)

    def unfinished(self) -> list[Place]:
        """Folders of cells that were started and whose process ended before they were finished."""
        # A process may be killed between its last two steps: the record says that the cell is finished.
        finished = {path.parent for path in matches(self.root, f"*/*/*/*/{RECORD}")}
        started = [path.parent for path in matches(self.root, f"*/*/*/*/{STARTED}")]
        return [folder for folder in started if folder not in finished]

    def metrics(self) -> pd.DataFrame:
        """The rows of all finished cells; columns of METRICS, possibly no row."""
        tables = [_table(cell.folder / METRICS_FILE, METRICS) for cell in self.cells()]
        frame: pd.DataFrame = pa.concat_tables([METRICS.empty_table(), *tables]).to_pandas()
        return frame

    def remove(self, cell: StoredCell) -> None:
        if isinstance(cell.folder, RemotePath):
            cell.folder.remove_tree()
        else:
            shutil.rmtree(cell.folder)


def _table(path: Place, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.ParquetFile(readable(path)).read()
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


def _read(path: Place, schema: pa.Schema) -> pd.DataFrame:
    frame: pd.DataFrame = _table(path, schema).to_pandas()
    return frame
