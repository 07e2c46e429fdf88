"""Atomic writes: files are renamed into place on this machine, and uploaded in one request behind a URL."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from typing import IO, Any

from ltbench.atomic_files import write_atomically
from ltbench.results.errors import ResultsError
from ltbench.results.places import Place, RemotePath


def write_place(path: Place, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file atomically: `write` is called with an open binary file. Raises ResultsError."""
    try:
        if isinstance(path, RemotePath):
            buffer = io.BytesIO()
            write(buffer)
            path.write_bytes(buffer.getbuffer())
        else:
            write_atomically(path, write, to_disk=True)
    except OSError as error:
        raise ResultsError(
            f"cannot write '{path}' ({error.strerror or error}): choose a folder with free space and write "
            "permission"
        ) from error


def write_bytes(path: Place, content: bytes | memoryview) -> None:
    """Write bytes atomically. Raises ResultsError."""
    write_place(path, lambda file: file.write(content))


def write_json(path: Place, value: Any) -> None:
    """Write indented JSON atomically; NaN is refused, since JSON readers of other languages reject it."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    write_place(path, lambda file: file.write(text.encode()))


def read_json(path: Place) -> Any:
    """Read a JSON file. Raises ResultsError if it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"cannot read '{path}': {error}; delete the file and run the same command again"
        ) from error


def file_digest(path: Place) -> str:
    """sha256 of a file, in hexadecimal."""
    if isinstance(path, RemotePath):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
