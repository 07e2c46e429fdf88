"""Files that are whole or as they were before, and numbers in few words."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest

from ltbench.atomic_files import write_atomically
from ltbench.number_ranges import number_ranges, seed_ranges


def test_a_file_is_written_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomically(path, b"one")
    write_atomically(path, lambda file: file.write(b"two"), to_disk=True)
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_writer_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"whole")

    def half(file: IO[bytes]) -> None:
        file.write(b"ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, half)
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_in_few_words() -> None:
    assert number_ranges([7, 1, 2, 3, 5], " ") == "7 1-3 5"
    assert seed_ranges([5, 3, 1, 2, 3]) == "1-3,5"
    assert seed_ranges([]) == ""
