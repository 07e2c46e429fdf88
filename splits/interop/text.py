"""Text files of any machine: encodings, byte order marks, line ends."""

from __future__ import annotations

import codecs
from pathlib import Path

from ltbench.atomic_files import write_atomically
from ltbench.splits.errors import SplitsError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes, source: str) -> str:
    """Decode text and normalise line ends to "\\n". Raises SplitsError if it is empty or binary."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SplitsError(
            f"'{source}' is no text (byte {error.start} is not {encoding}): expected a list of image paths"
        ) from error
    if "\0" in text:
        raise SplitsError(f"'{source}' is no text (it holds a zero byte): expected a list of image paths")
    if not text.strip():
        raise SplitsError(f"'{source}' is empty: expected a list of image paths")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(file: Path) -> str:
    """Read a text file. Raises SplitsError naming the file."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SplitsError(
            f"list '{file}' cannot be read ({error.strerror}): expected a file of image paths"
        ) from error
    return decode(data, str(file))


def write_whole(file: Path, content: bytes) -> None:
    """Write a file atomically. Raises SplitsError naming the file."""
    try:
        write_atomically(file, content)
    except OSError as error:
        raise SplitsError(
            f"cannot write '{file}' ({error.strerror}): choose a folder that can be written"
        ) from error


def lines(text: str) -> list[str]:
    """Lines of a text without empty lines and comments ("# ..."), stripped of blanks and quotes."""
    stripped = (line.strip().strip("\"'") for line in text.split("\n"))
    # A path may start with "#", such as "#3 housing/train/...".
    return [line for line in stripped if line and line != "#" and not line.startswith(("# ", "##"))]
