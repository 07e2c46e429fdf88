"""A site of results behind a URL is the site of the same results on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from generated_results import generate
from remote_roots import in_memory, new_bucket, s3_environment

from ltbench.reports.site import build_site
from ltbench.results.places import Place, place


@pytest.fixture(params=["memory", "s3"])
def remote(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "memory":
        yield in_memory()
        return
    with s3_environment() as variables:
        yield place(new_bucket(variables, complete=True))


def pages(out: Path) -> dict[str, str]:
    """Texts of the site by name, without where the results lie."""
    found = {
        str(path.relative_to(out)): path.read_text()
        for path in out.rglob("*")
        if path.suffix in {".html", ".csv"}
    }
    return {name: re.sub(r"(/|memory://|s3://)[^\s<\"']*", "", text) for name, text in found.items()}


def test_the_site_of_a_url_is_the_site_of_a_folder(tmp_path: Path, remote: Place) -> None:
    local = tmp_path / "runs"
    generate(local)
    for file in local.rglob("*"):
        if file.is_file():
            (remote / file.relative_to(local).as_posix()).write_bytes(file.read_bytes())
    build_site(local, tmp_path / "near")
    build_site(remote, tmp_path / "far")
    near, far = pages(tmp_path / "near"), pages(tmp_path / "far")
    assert len(near) > 5
    assert far == near
    pictures = [
        {
            path.name: path.read_bytes()
            for path in (tmp_path / out).rglob("*")
            if path.suffix in {".png", ".webp", ".jpg"}
        }
        for out in ("near", "far")
    ]
    assert pictures[0] == pictures[1] != {}
