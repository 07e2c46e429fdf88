"""Files of the feature cache, read in parts."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from ltbench.methods.features import records


@pytest.mark.parametrize("part", [1, 3, 1000, 1 << 20])
@pytest.mark.parametrize("size", [0, 3, 4, 5, 999, 2003])
def test_a_file_is_summed_as_it_is_read(
    part: int, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_PART_BYTES", part)
    content = (bytes(range(256)) * 8)[:size]
    (tmp_path / "file").write_bytes(content)
    found, checksum, _ = records.read(tmp_path / "file")
    assert found.tobytes() == content
    assert checksum == zlib.crc32(content[:-4])
