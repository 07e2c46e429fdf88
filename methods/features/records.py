"""Files of the feature cache: self-describing, checksummed records, written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.atomic_files import write_atomically

FORMAT = 1
"""Raised by one whenever the layout of a record changes: older records are then not looked at."""

Bytes = npt.NDArray[np.uint8]
Features = dict[str, npt.NDArray[np.float16]]
"""Arrays of one image by name of layer, "pooled" among them."""

_CHECKSUM_BYTES = 4
_PART_BYTES = 1 << 17
_STALE_TEMPORARY_SECONDS = 3600


def encode(features: Mapping[str, npt.NDArray[np.floating]]) -> bytes:
    """A record: the `.npy` file of a structured array with one field per feature, then its CRC-32.

    float32 stays float32; all else becomes float16.
    """
    kinds = {name: "<f4" if values.dtype == np.float32 else "<f2" for name, values in features.items()}
    arrays = {name: np.ascontiguousarray(values, kinds[name]) for name, values in features.items()}
    layout = np.dtype([(name, kinds[name], values.shape) for name, values in arrays.items()])
    stream = BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(layout), "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(stream, header)
    for values in arrays.values():
        stream.write(values.tobytes())
    content = stream.getvalue()
    return content + zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little")


def decode(content: Bytes, checksum: int | None = None) -> Features | None:
    """The features of a record, as views of `content`; None if it is not what was written.

    checksum: CRC-32 of all but the last four bytes, if it is known.
    """
    body = content[:-_CHECKSUM_BYTES]
    found = zlib.crc32(body) if checksum is None else checksum
    if found.to_bytes(_CHECKSUM_BYTES, "little") != content[-_CHECKSUM_BYTES:].tobytes() or len(body) < 10:
        return None
    start = 10 + int.from_bytes(body[8:10].tobytes(), "little")
    layout = _layout(body[:start].tobytes())
    if layout is None or len(body) != start + layout.itemsize or layout.names is None:
        return None
    record = np.frombuffer(content, layout, count=1, offset=start)
    return {name: record[name][0] for name in layout.names}


@lru_cache(maxsize=64)
def _layout(header: bytes) -> np.dtype[Any] | None:
    """Field names and shapes that the head of a record declares; every record of a spec declares the same."""
    stream = BytesIO(header)
    try:
        np.lib.format.read_magic(stream)
        return np.lib.format.read_array_header_1_0(stream)[2]
    except ValueError:
        return None


@dataclass(frozen=True)
class Record:
    path: Path
    bytes: int
    modified: float


def read(path: Path) -> tuple[Bytes, int, float]:
    """Bytes of a file, CRC-32 of all but the last four, and when it was modified; raises OSError."""
    file = os.open(path, os.O_RDONLY)
    try:
        status = os.fstat(file)
        # Not zeroed first, as a bytearray would be; summed while a part is in the processor's cache.
        content = np.empty(status.st_size, np.uint8)
        filled, checksum = 0, 0
        while count := os.readv(file, [content[filled : filled + _PART_BYTES]]):
            end = max(filled, min(filled + count, len(content) - _CHECKSUM_BYTES))
            checksum = zlib.crc32(content[filled:end], checksum)
            filled += count
    finally:
        os.close(file)
    return content[:filled], checksum, status.st_mtime


def write(path: Path, content: bytes) -> None:
    """Write a record as a whole; the checksum finds what a power cut left undone. Raises OSError."""
    write_atomically(path, content)


def folders(root: Path, digits: int) -> list[Path]:
    """Folders whose name is `digits` hex digits; all others do not belong to the cache."""
    name = re.compile(f"[0-9a-f]{{{digits}}}")
    try:
        with os.scandir(root) as found:
            return [root / entry.name for entry in found if name.fullmatch(entry.name) and entry.is_dir()]
    except OSError:
        return []


def stored(folder: Path) -> Iterator[Record]:
    """Records of one spec; what killed writers left behind is removed on the way."""
    for inner in folders(folder, 2):
        with os.scandir(inner) as found:
            for entry in found:
                try:
                    status = entry.stat()
                except OSError:  # removed meanwhile by another process
                    continue
                if entry.name.endswith(".npy"):
                    yield Record(inner / entry.name, status.st_size, status.st_mtime)
                elif entry.name.endswith(".tmp") and time.time() - status.st_mtime > _STALE_TEMPORARY_SECONDS:
                    remove(inner / entry.name)


def sidecar(folder: Path) -> Mapping[str, Any]:
    try:
        content = json.loads((folder / "spec.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def remove_folder(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:  # another process has just stored something
        return


def touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:  # a read-only cache keeps the order in which it was written
        return
