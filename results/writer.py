"""Writer of a cell's files, whose record exists only if the cell is complete."""

from __future__ import annotations

import hashlib
import io
import json
import random
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ltbench.results.errors import ResultsError
from ltbench.results.files import write_bytes, write_json
from ltbench.results.places import Place, RemotePath
from ltbench.results.schema import SCHEMA_VERSION
from ltbench.results.store import (
    COMMITS,
    CONTENT,
    GALLERY_FILE,
    RECORD,
    STARTED,
    WAIT_SECONDS,
    Store,
    StoredCell,
)


class CellWriter:
    """Writer of one cell's folder; `finish` writes the record last, so that it marks a complete cell.

    On this machine a lock prevents two writers of one cell. There is none behind a URL: all files are
    uploaded at the end, and again until record and files are found to be of the same writer. A cell that
    another driver has finished remains valid in the meantime.
    """

    def __init__(self, folder: Place, started: Mapping[str, Any]) -> None:
        self.folder = folder
        self._files: dict[str, str] = {}
        self._held: dict[str, memoryview] = {}
        write_json(folder / STARTED, {"schema_version": SCHEMA_VERSION, **started})
        if isinstance(folder, RemotePath):
            return
        # The record is deleted first, since without it the other files are ignored.
        for name in (RECORD, *CONTENT):
            (folder / name).unlink(missing_ok=True)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a table as Parquet file `name`."""
        self._hold(name, _parquet(table))

    def write_array(self, name: str, array: npt.NDArray[np.float32]) -> None:
        """Write an array as .npy file `name`."""
        self._write(name, lambda file: np.save(file, array, allow_pickle=False))

    def write_gallery(self, grids: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Write the patch score grids of gallery images, by key, as a .npz file."""
        self._write(GALLERY_FILE, lambda file: np.savez(file, allow_pickle=False, **dict(grids)))

    def finish(self, record: Mapping[str, Any]) -> StoredCell:
        """Write the record, which completes the cell."""
        content = {"schema_version": SCHEMA_VERSION, **record, "files": dict(self._files)}
        # Through JSON, so that tuples become lists as in the stored record.
        cell = StoredCell(self.folder, json.loads(json.dumps(content)))
        if isinstance(self.folder, RemotePath):
            self._commit(self.folder, cell)
        else:
            write_json(self.folder / RECORD, cell.content)
        (self.folder / STARTED).unlink(missing_ok=True)
        return cell

    def _write(self, name: str, write: Any) -> None:
        """Add a file that `write` fills."""
        # Into memory first: NumPy needs to seek, and the files are small.
        buffer = io.BytesIO()
        write(buffer)
        self._hold(name, buffer.getbuffer())

    def _hold(self, name: str, content: memoryview) -> None:
        """Write a file, or hold it in memory until the commit behind a URL; record its digest."""
        self._files[name] = hashlib.sha256(content).hexdigest()
        if isinstance(self.folder, RemotePath):
            self._held[name] = content
        else:
            write_bytes(self.folder / name, content)

    def _commit(self, folder: RemotePath, cell: StoredCell) -> None:
        """Upload all files and the record until they are found to be of this writer."""
        for number in range(COMMITS):
            for name, content in self._held.items():
                write_bytes(folder / name, content)
            for name in CONTENT:
                if name not in self._files:
                    (folder / name).unlink(missing_ok=True)
            write_json(folder / RECORD, cell.content)
            stored = Store(folder).find(folder)
            if stored is not None:
                return
            # A random time, since writers that wait equally long would collide every time.
            time.sleep(WAIT_SECONDS * (number + 1) * random.uniform(0.2, 1.8))
        why = cell.damage() or "its record is unreadable"
        raise ResultsError(
            f"'{folder}' does not keep what is written there ({why}): "
            "end the other run that writes it, then run the same command again"
        )


def rewrite_tables(
    cell: StoredCell, tables: Mapping[str, pa.Table], content: Mapping[str, Any]
) -> StoredCell:
    """Replace tables of a finished cell and its record; other and unchanged files stay as they are.

    Args:
        cell: Finished cell.
        tables: New tables by file name; the file of an empty table is deleted.
        content: New record as a JSON object.
    """
    parts = {name: _parquet(rows) if len(rows) else None for name, rows in tables.items()}
    files = {name: digest for name, digest in content["files"].items() if name not in parts}
    files |= {name: hashlib.sha256(part).hexdigest() for name, part in parts.items() if part}
    # Between these writes the record does not match its files, so that after a crash the cell is run again.
    for name, part in parts.items():
        if part and files[name] != content["files"].get(name):
            write_bytes(cell.folder / name, part)
    fresh = {**content, "files": files}
    write_json(cell.folder / RECORD, fresh)
    for name, part in parts.items():
        if part is None:
            # Deleted last, since a file that the record does not name is not part of the cell.
            (cell.folder / name).unlink(missing_ok=True)
    return StoredCell(cell.folder, fresh)


def _parquet(rows: pa.Table) -> memoryview:
    """Encode a table as a parquet file."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getbuffer()
