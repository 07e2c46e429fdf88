"""Folders of this machine and folders behind a URL, with one interface: what we need of `pathlib.Path`.

pyarrow reaches s3://, gs:// and abfs:// by itself; every other protocol goes through fsspec, if installed.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ltbench.home_folders import expanded
from ltbench.results.errors import ResultsError

# pyarrow is imported where a URL is opened, so that help texts stay fast.
if TYPE_CHECKING:
    from pyarrow import BufferReader

_URL = re.compile(r"[a-z][a-z0-9+.-]+://")
_WHOLE_PUTS = "allow_delayed_open=true"
"""A small object is put in one request, so that it is there whole or not at all."""
_WITHOUT_FOLDERS = {"s3", "gcs", "abfs"}
"""File systems whose folders need not be made."""


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or folder behind a URL, with the manners of `pathlib.Path`; folders need not be made."""

    base: str
    """Protocol, bucket and options, as `place` found them: "s3://bucket?region=eu-central-1"."""
    inside: PurePosixPath
    """Below the bucket."""

    def __str__(self) -> str:
        """The URL without its options and without credentials."""
        url = urlsplit(self.base)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}/{self.inside}".rstrip("/.")

    def __truediv__(self, name: str | PurePosixPath) -> RemotePath:
        return RemotePath(self.base, self.inside / name)

    @property
    def name(self) -> str:
        return self.inside.name

    @property
    def parent(self) -> RemotePath:
        return RemotePath(self.base, self.inside.parent)

    def relative_to(self, root: RemotePath) -> PurePosixPath:
        """Raises ValueError if this is not below `root`."""
        if root.base != self.base:
            raise ValueError(f"'{self}' is not below '{root}'")
        return self.inside.relative_to(root.inside)

    def exists(self) -> bool:
        return self._kind() != "NotFound"

    def is_dir(self) -> bool:
        return self._kind() == "Directory"

    def modified(self) -> float:
        """Seconds since the epoch by the store's clock, 0 if it has none. Raises FileNotFoundError."""
        system, path = self._where()
        info = system.get_file_info(path)
        if info.type.name == "NotFound":
            raise FileNotFoundError(f"'{self}' does not exist")
        return float(info.mtime_ns or 0) / 1e9

    def read_bytes(self) -> bytes:
        system, path = self._where()
        with system.open_input_file(path) as file:
            content: bytes = file.read()
        return content

    def open(self, mode: str = "rb") -> IO[bytes]:
        """The whole content in memory; for reading alone."""
        if mode != "rb":
            raise ValueError(f"mode is '{mode}': a file behind a URL is read with 'rb', put by write_bytes")
        return io.BytesIO(self.read_bytes())

    def write_bytes(self, content: bytes | memoryview) -> None:
        """Put the content in this place, whole or not at all; the last writer wins."""
        system, path = self._where()
        if system.type_name not in _WITHOUT_FOLDERS:
            system.create_dir(path.rpartition("/")[0], recursive=True)
        with system.open_output_stream(path) as file:
            file.write(content)

    def unlink(self, *, missing_ok: bool = False) -> None:
        system, path = self._where()
        try:
            system.delete_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_tree(self) -> None:
        """Remove everything below this folder."""
        system, path = self._where()
        system.delete_dir_contents(path, missing_dir_ok=True)

    def files(self) -> Iterator[tuple[RemotePath, int, float]]:
        """Every file below this folder, its bytes and when it was changed, in one listing."""
        from pyarrow import fs

        system, path = self._where()
        top = PurePosixPath(path)
        for info in system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True)):
            if info.is_file:
                yield (
                    self / PurePosixPath(info.path.lstrip("/")).relative_to(top),
                    info.size,
                    (info.mtime_ns or 0) / 1e9,
                )

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Files, not folders, that match: "*" stands for any part of one name, as in `Path.glob`."""
        parts = PurePosixPath(pattern).parts
        wild = (number for number, part in enumerate(parts) if re.search(r"[*?\[]", part))
        fixed = next(wild, len(parts) - 1)
        top = self.inside.joinpath(*parts[:fixed])
        for path, _, _ in RemotePath(self.base, top).files():
            names = path.inside.relative_to(top).parts
            if len(names) == len(parts) - fixed and all(map(fnmatchcase, names, parts[fixed:])):
                yield path

    def _where(self) -> tuple[Any, str]:
        system, bucket = _filesystem(self.base)
        return system, str(PurePosixPath(bucket or "/") / self.inside).lstrip("/")

    def _kind(self) -> str:
        system, path = self._where()
        kind: str = system.get_file_info(path).type.name
        return kind


Place = Path | RemotePath
"""Where results and features may lie."""


def place(text: str | Place) -> Place:
    """A folder of this machine, or a URL: "runs", "file:///data/runs", "s3://bucket/runs?region=eu-central-1".

    What follows "?" are options of the file system, as pyarrow names them. Credentials come from the
    environment. Raises ResultsError for a protocol that nothing here speaks.
    """
    if not isinstance(text, str):
        return text
    if not _URL.match(text):
        return expanded(text)
    url = urlsplit(text)
    if url.scheme == "file":
        return Path(unquote(url.path))
    if not url.netloc:
        raise ResultsError(f"'{text}' names no bucket: expected {url.scheme}://BUCKET/FOLDER")
    base = f"{url.scheme}://{url.netloc}" + (f"?{url.query}" if url.query else "")
    _filesystem(base)
    return RemotePath(base, PurePosixPath(unquote(url.path).strip("/")))


def matches(root: Place, pattern: str) -> list[Place]:
    """Files below `root` that match, in the order of their names; none that is hidden or in a hidden folder.

    A name that starts with a dot is that of something unfinished.
    """
    found: list[Place] = [*root.glob(pattern)]
    return sorted((path for path in found if "/." not in f"/{below(path, root)}"), key=str)


def below(path: Place, root: Place) -> str:
    """The way from `root` to `path`, with "/" between names. Raises ValueError if there is none."""
    if isinstance(path, RemotePath) and isinstance(root, RemotePath):
        return str(path.relative_to(root))
    if isinstance(path, RemotePath) or isinstance(root, RemotePath):
        raise ValueError(f"'{path}' is not below '{root}'")
    return path.relative_to(root).as_posix()


def readable(path: Place) -> Path | BufferReader:
    """What pyarrow and numpy's readers take: the file itself, or its content in memory."""
    if not isinstance(path, RemotePath):
        return path
    from pyarrow import BufferReader

    return BufferReader(path.read_bytes())


def modified(path: Place) -> float:
    """Seconds since the epoch; 0 where a store does not tell."""
    return path.modified() if isinstance(path, RemotePath) else path.stat().st_mtime


def local_side(path: Place, home: Path) -> Path:
    """Where the parts of a folder lie that must be files of this machine: locks, running logs, checkpoints.

    The folder itself if it is local, else one below `home` that belongs to this URL alone.
    """
    if not isinstance(path, RemotePath):
        return path
    owner = hashlib.sha256(path.base.encode()).hexdigest()[:16]
    return home / "remote" / owner / path.inside


@lru_cache(maxsize=16)
def _filesystem(base: str) -> tuple[Any, str]:
    """The file system of a URL and the bucket in it."""
    from pyarrow import ArrowInvalid, ArrowNotImplementedError, fs

    scheme = urlsplit(base).scheme
    address = base
    if scheme == "s3" and _WHOLE_PUTS not in base:
        address = f"{base}{'&' if '?' in base else '?'}{_WHOLE_PUTS}"
    try:
        system, bucket = fs.FileSystem.from_uri(address)
    except (ArrowInvalid, ArrowNotImplementedError, OSError) as error:
        reason = str(error)
        if "Unrecognized filesystem type" not in reason:
            raise ResultsError(f"cannot open '{scheme}://...': {reason}") from error
    else:
        return system, bucket
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ResultsError(
            f"'{scheme}://' needs fsspec, which is not installed: pip install fsspec, and the package that "
            f"speaks '{scheme}'; s3://, gs:// and abfs:// need neither"
        ) from error
    try:
        system, bucket = url_to_fs(base)
    except (ImportError, ValueError) as error:
        raise ResultsError(f"cannot open '{scheme}://...': {error}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(system)), bucket
