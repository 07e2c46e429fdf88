"""Download of large files over unreliable connections, resumed after a failure and verified by digest."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ltbench.splits.datasets.facts import Archive
from ltbench.splits.errors import SplitsError, VerificationFailed

_CHUNK = 1 << 20
_TOO_FAR = 416
_SERVER = 500

Progress = Callable[[str, int, int | None], None]
"""Function that is called with the file name, the bytes so far, and the total bytes or None."""


class _NotHereError(Exception):
    """An address does not provide the file; others may."""


@dataclass(frozen=True)
class _Transfer:
    archive: Archive
    partial: Path
    progress: Progress | None
    attempts: int
    pause_seconds: float
    timeout_seconds: float

    @property
    def received(self) -> int:
        """Number of bytes on disk."""
        return self.partial.stat().st_size if self.partial.is_file() else 0


def download(
    archive: Archive,
    folder: Path,
    *,
    mirrors: Sequence[str] = (),
    progress: Progress | None = None,
    attempts: int = 6,
    pause_seconds: float = 1.0,
    timeout_seconds: float = 30.0,
) -> tuple[Path, str]:
    """Download a file; an interrupted download is continued.

    Args:
        archive: File with its addresses and digest.
        folder: Folder to store it in.
        mirrors: Base addresses that are tried first, with the file's name appended.
        progress: Function that is called with the progress.
        attempts: Consecutive attempts without progress before the next address is tried.
        pause_seconds: Pause after the first attempt; it grows with every attempt.
        timeout_seconds: Timeout of a connection.

    Returns:
        Path of the file, and its sha256.

    Raises:
        SplitsError: If no address provides the file.
        VerificationFailed: If the digest differs; the file is then deleted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / archive.name
    partial = folder / f"{archive.name}.part"
    transfer = _Transfer(archive, partial, progress, attempts, pause_seconds, timeout_seconds)
    addresses = [f"{mirror.rstrip('/')}/{archive.name}" for mirror in mirrors] + list(archive.addresses)
    failures: list[str] = []
    if not target.is_file():
        for address in addresses:
            try:
                _persist(address, transfer)
                partial.replace(target)
                break
            except _NotHereError as error:
                failures.append(f"{address}: {error}")
        else:
            raise SplitsError(
                f"'{archive.name}' cannot be fetched ({'; '.join(failures)}): try again to continue where it "
                "stopped, name a mirror, or fetch it by hand"
            )
    return target, _checked(target, archive)


def _checked(file: Path, archive: Archive) -> str:
    """sha256 of a file; deletes it and raises VerificationFailed if it differs from the known digest."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if archive.sha256 and digest != archive.sha256:
        file.unlink()
        raise VerificationFailed(
            f"'{archive.name}' has sha256 {digest[:16]}..., expected {archive.sha256[:16]}...: "
            "it was deleted, fetch it again or from another mirror"
        )
    return digest


def _persist(address: str, transfer: _Transfer) -> None:
    """Receive the whole file. Raises _NotHereError after `attempts` consecutive attempts without a byte."""
    left = transfer.attempts
    while True:
        before = transfer.received
        try:
            if _continue(address, transfer):
                return
            reason = "the connection was closed early"
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"the server says {error.code} {error.reason}"
            if error.code < _SERVER:
                raise _NotHereError(reason) from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        left = transfer.attempts if transfer.received > before else left - 1
        if left <= 0:
            raise _NotHereError(reason)
        time.sleep(transfer.pause_seconds * (transfer.attempts - left))


def _continue(address: str, transfer: _Transfer) -> bool:
    """Continue the download over one connection; True if the file is complete."""
    start = transfer.received
    if start and start == transfer.archive.size:
        return True
    request = urllib.request.Request(address, headers={"User-Agent": "ltbench"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=transfer.timeout_seconds)
    except urllib.error.HTTPError as error:
        if error.code != _TOO_FAR:
            raise
        error.close()
        if str(error.headers.get("Content-Range", "")).endswith(f"/{start}"):
            return True
        transfer.partial.unlink()  # longer than the server's file: begin again
        return False
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        start = start if resumed else 0
        length = response.headers.get("Content-Length")
        total = transfer.archive.size if length is None else start + int(length)
        with transfer.partial.open("ab" if resumed else "wb") as file:
            done = _copy(transfer, response, file, start, total)
    return done == total if total is not None else done > start


def _copy(transfer: _Transfer, response: IO[bytes], file: IO[bytes], start: int, total: int | None) -> int:
    """Copy the response into the file and return the file's bytes when the connection ends."""
    done = start
    while chunk := response.read(_CHUNK):
        file.write(chunk)
        done += len(chunk)
        if transfer.progress is not None:
            transfer.progress(transfer.archive.name, done, total)
    return done
