"""The archive for a public record: whole, checkable and the same bytes on every machine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

from ltbench.splits.errors import SplitsError
from ltbench.splits.interop.read import import_split
from ltbench.splits.interop.zenodo import archive, write_archive
from ltbench.splits.recipes import build
from ltbench.splits.verify import without_images

SCRIPT = """
import hashlib
from ltbench.splits.interop.zenodo import archive
from ltbench.splits.recipes import build
from ltbench.splits.verify import without_images
visa = without_images("visa")
print(hashlib.sha256(archive([(build(n, visa, 1), visa) for n in ("pareto", "ltad_exp100")])).hexdigest())
"""


@cache
def content() -> bytes:
    visa, mvtec = without_images("visa"), without_images("mvtec")
    pairs = [(build("pareto", visa, 1), visa), (build("meds_nr10", mvtec, 0), mvtec)]
    return archive(pairs, title="Lists", creators=["Doe, Jane"])


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content())) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_the_archive_is_the_same_in_every_process() -> None:
    found = set()
    for number, zone in (("0", "UTC"), ("77", "Asia/Tokyo")):
        environment = {**os.environ, "PYTHONHASHSEED": number, "TZ": zone}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    visa = without_images("visa")
    pairs = [(build(name, visa, 1), visa) for name in ("ltad_exp100", "pareto")]
    assert found == {hashlib.sha256(archive(pairs)).hexdigest() + "\n"}


def test_no_member_tells_time_machine_or_compressor() -> None:
    with zipfile.ZipFile(io.BytesIO(content())) as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {member.compress_type for member in file.infolist()} == {zipfile.ZIP_STORED}
        assert {member.create_system for member in file.infolist()} == {3}
        assert file.namelist() == sorted(file.namelist())


def test_checksums_cover_every_other_file() -> None:
    files = members()
    sums = dict(reversed(line.split("  ", 1)) for line in files.pop("checksums.sha256").decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_readme_metadata_licence_and_citation_are_there() -> None:
    files = members()
    readme, bibtex = files["README.md"].decode(), files["CITATION.bib"].decode()
    digest = build("pareto", without_images("visa"), 1).digest
    assert digest in readme
    assert "visa/pareto/seed1" in readme
    assert "CC BY-NC-SA 4.0" in readme
    for entry in ("jung2025tailedcore", "safarov2026meds", "zou2022spot", "bergmann2019mvtec"):
        assert entry in bibtex
    assert "ho2024ltad" not in bibtex
    metadata = json.loads(files["metadata.json"])["metadata"]
    assert (metadata["title"], metadata["creators"]) == ("Lists", [{"name": "Doe, Jane"}])
    assert digest in metadata["description"]
    assert metadata["license"] == "CC0-1.0"
    assert b"CC0" in files["LICENSE.txt"]
    body = files["visa/pareto/seed1/manifest.txt"].split(b"\n", 1)[1]
    assert hashlib.sha256(body).hexdigest() == digest


def test_an_archive_of_one_split_is_imported_again(tmp_path: Path) -> None:
    mvtec = without_images("mvtec")
    split = build("step_k4", mvtec, 1)
    digest = write_archive([(split, mvtec)], tmp_path / "out" / "split.zip")
    assert hashlib.sha256((tmp_path / "out" / "split.zip").read_bytes()).hexdigest() == digest
    assert import_split(tmp_path / "out" / "split.zip", mvtec)[0].digest == split.digest
    (tmp_path / "two.zip").write_bytes(content())
    with pytest.raises(SplitsError, match="holds 2 manifests, expected one"):
        import_split(tmp_path / "two.zip", mvtec)


def test_an_archive_of_nothing_or_of_one_split_twice_is_refused() -> None:
    mvtec = without_images("mvtec")
    split = build("clean", mvtec, 0)
    with pytest.raises(SplitsError, match="no split"):
        archive([])
    with pytest.raises(SplitsError, match="named twice"):
        archive([(split, mvtec), (split, mvtec)])
