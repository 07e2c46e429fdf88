"""Local and remote folders with a common interface, a part of that of `pathlib.Path`.

pyarrow reads s3://, gs:// and abfs:// URLs; every other protocol needs fsspec.
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
"""Option of pyarrow by which a small object is written in one request, hence whole or not at all."""
_WITHOUT_FOLDERS = {"s3", "gcs", "abfs"}
"""Types of file systems on which folders need not be created."""


@dataclass(frozen=True, order=True)
class RemotePath:
    """Remote file or folder with methods like those of `pathlib.Path`; folders need not be created."""

    base: str
    """Protocol, bucket and options, as parsed by `place`: "s3://bucket?region=eu-central-1"."""
    inside: PurePosixPath
    """Path within the bucket."""

    def __str__(self) -> str:
        """Format the URL without options and credentials."""
        url = urlsplit(self.base)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}/{self.inside}".rstrip("/.")

    def __truediv__(self, name: str | PurePosixPath) -> RemotePath:
        return RemotePath(self.base, self.inside / name)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.inside.name

    @property
    def parent(self) -> RemotePath:
        """Folder of the file or folder."""
        return RemotePath(self.base, self.inside.parent)

    def relative_to(self, root: RemotePath) -> PurePosixPath:
        """Compute the path relative to `root`; raises ValueError if this is not below it."""
        if root.base != self.base:
            raise ValueError(f"'{self}' is not below '{root}'")
        return self.inside.relative_to(root.inside)

    def exists(self) -> bool:
        """Whether there is a file or folder."""
        return self._kind() != "NotFound"

    def is_dir(self) -> bool:
        """Whether there is a folder."""
        return self._kind() == "Directory"

    def modified(self) -> float:
        """Time of the last change in seconds since the epoch by the remote clock, 0 if it has none.

        Raises FileNotFoundError.
        """
        system, path = self._where()
        info = system.get_file_info(path)
        if info.type.name == "NotFound":
            raise FileNotFoundError(f"'{self}' does not exist")
        return float(info.mtime_ns or 0) / 1e9

    def read_bytes(self) -> bytes:
        """Read the whole file."""
        system, path = self._where()
        with system.open_input_file(path) as file:
            content: bytes = file.read()
        return content

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Read the whole content into memory; raises ValueError for other modes than "rb"."""
        if mode != "rb":
            raise ValueError(f"mode is '{mode}': a file behind a URL is read with 'rb', put by write_bytes")
        return io.BytesIO(self.read_bytes())

    def write_bytes(self, content: bytes | memoryview) -> None:
        """Write the content, whole or not at all; of concurrent writers the last one wins."""
        system, path = self._where()
        if system.type_name not in _WITHOUT_FOLDERS:
            system.create_dir(path.rpartition("/")[0], recursive=True)
        with system.open_output_stream(path) as file:
            file.write(content)

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Delete the file; raises FileNotFoundError for a missing file unless `missing_ok`."""
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
        """Yield every file below this folder with its size in bytes and the time of its last change."""
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
        """Yield the matching files, not folders; "*" matches within one name, as in `Path.glob`."""
        parts = PurePosixPath(pattern).parts
        wild = (number for number, part in enumerate(parts) if re.search(r"[*?\[]", part))
        fixed = next(wild, len(parts) - 1)
        top = self.inside.joinpath(*parts[:fixed])
        for path, _, _ in RemotePath(self.base, top).files():
            names = path.inside.relative_to(top).parts
            if len(names) == len(parts) - fixed and all(map(fnmatchcase, names, parts[fixed:])):
                yield path

    def _where(self) -> tuple[Any, str]:
        """File system, and the path in it, including the bucket."""
        system, bucket = _filesystem(self.base)
        return system, str(PurePosixPath(bucket or "/") / self.inside).lstrip("/")

    def _kind(self) -> str:
        """Type of the path: "File", "Directory" or "NotFound"."""
        system, path = self._where()
        kind: str = system.get_file_info(path).type.name
        return kind


Place = Path | RemotePath
"""Path of results or features, local or remote."""


def place(text: str | Place) -> Place:
    """Parse a path or URL: "runs", "file:///data/runs", "s3://bucket/runs?region=eu-central-1".

    The query of a URL holds options of the file system in pyarrow's names. Credentials come from the
    environment. Raises ResultsError for an unsupported protocol and a URL without a bucket.
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
    """List the files below `root` that match, sorted by path, without hidden files and folders.

    Unfinished files and folders have names that start with a dot.
    """
    paths: list[Place] = [*root.glob(pattern)]
    return sorted((path for path in paths if "/." not in f"/{below(path, root)}"), key=str)


def below(path: Place, root: Place) -> str:
    """Path of `path` relative to `root`, with "/" between names; raises ValueError if it is not below."""
    if isinstance(path, RemotePath) and isinstance(root, RemotePath):
        return str(path.relative_to(root))
    if isinstance(path, RemotePath) or isinstance(root, RemotePath):
        raise ValueError(f"'{path}' is not below '{root}'")
    return path.relative_to(root).as_posix()


def readable(path: Place) -> Path | BufferReader:
    """Open for readers of pyarrow and NumPy: a local path itself, a remote file as a buffer in memory."""
    if not isinstance(path, RemotePath):
        return path
    from pyarrow import BufferReader

    return BufferReader(path.read_bytes())


def modified(path: Place) -> float:
    """Time of the last change in seconds since the epoch; 0 if a remote store does not report it."""
    return path.modified() if isinstance(path, RemotePath) else path.stat().st_mtime


def local_side(path: Place, home: Path) -> Path:
    """Local folder for files that must be local: locks, logs of running cells and checkpoints.

    This is `path` itself if it is local, else a folder below `home` that is unique to the URL.
    """
    if not isinstance(path, RemotePath):
        return path
    owner = hashlib.sha256(path.base.encode()).hexdigest()[:16]
    return home / "remote" / owner / path.inside


@lru_cache(maxsize=16)
def _filesystem(base: str) -> tuple[Any, str]:
    """Open the file system of a URL; returns it and the bucket in it."""
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
