"""Files that are whole or as they were before, whatever interrupts the writer."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


def write_atomically(
    path: Path, content: bytes | memoryview | Callable[[IO[bytes]], object], *, to_disk: bool = False
) -> None:
    """Write a file beside its place and move it there; its folder is made where it does not exist.

    Args:
        path: the file; one that exists is replaced, and of several writers the last one wins.
        content: its bytes, or a function that writes them into an open file.
        to_disk: wait until the bytes are on the disk, so that a power cut leaves no empty file.

    Raises:
        OSError: the folder is read-only or full; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden: listings of such folders leave out names that start with a dot.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            if to_disk:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write into, which appears as `folder` when all of it has been written.

    Raises:
        OSError: the place is read-only or full, or `folder` exists by then; nothing is left behind.
    """
    temporary = folder.parent / f".{folder.name}-{uuid.uuid4().hex[:8]}.tmp"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
