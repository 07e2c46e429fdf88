"""Folders of several machines become one that says where its cells came from; calls say what they did."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_store import write_cell

from ltbench.reports.feature_cache import cache_facts
from ltbench.results.errors import ResultsDiffer
from ltbench.results.files import write_json
from ltbench.results.merge import merge
from ltbench.results.runs import runs, sum_of, write_run
from ltbench.results.store import METRICS_FILE, RECORD, Store

READS = {
    "hits": 30,
    "misses": 10,
    "rebuilt": 1,
    "evicted": 0,
    "bytes_read": 3_000_000,
    "bytes_written": 500_000,
}


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_a_merge_notes_where_each_cell_came_from_and_keeps_the_sources_calls(tmp_path: Path) -> None:
    a, b, target = tmp_path / "a", tmp_path / "b", tmp_path / "all"
    first, second = write_cell(a), write_cell(b, seed=2)
    write_run(a, {"command": ["bench"]})
    merge([a, b], target)
    call, note = runs(target)
    assert call["command"] == ["bench"]
    assert note["merged"] == {
        str(first.folder.relative_to(a)): str(a),
        str(second.folder.relative_to(b)): str(b),
    }
    before = names(target)
    assert merge([a, b], target).copied == 0
    assert names(target) == before


def test_a_dry_merge_counts_and_writes_nothing(tmp_path: Path) -> None:
    write_cell(tmp_path / "a")
    done = merge([tmp_path / "a"], tmp_path / "all", dry_run=True)
    assert (done.copied, (tmp_path / "all").exists()) == (1, False)


def test_a_dry_merge_finds_conflicts(tmp_path: Path) -> None:
    write_cell(tmp_path / "a")
    write_cell(tmp_path / "b", value=0.8)
    with pytest.raises(ResultsDiffer, match=r"image_auroc of bolt is 0\.90* and 0\.80*"):
        merge([tmp_path / "b"], tmp_path / "a", dry_run=True)


def test_a_damaged_cell_is_left_out_and_named(tmp_path: Path) -> None:
    whole, broken = write_cell(tmp_path / "a"), write_cell(tmp_path / "a", seed=2)
    path = tmp_path / "a" / broken.folder.relative_to(tmp_path / "a") / METRICS_FILE  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:-5])
    done = merge([tmp_path / "a"], tmp_path / "all")
    assert (done.copied, len(done.damaged)) == (1, 1)
    assert str(path) in done.damaged[0]
    assert [cell.content["identity"]["seed"] for cell in Store(tmp_path / "all").cells()] == [1]
    assert whole.content["identity"]["seed"] == 1


def test_counts_are_added_by_name() -> None:
    assert sum_of([]) == {}
    assert sum_of([{"hits": 1, "misses": 2}, {"hits": 3}]) == {"hits": 4, "misses": 2}


def test_a_boards_cache_counts_are_those_of_its_cells_and_the_passes_before_them(tmp_path: Path) -> None:
    cell, other = write_cell(tmp_path), write_cell(tmp_path, seed=2)
    write_json(cell.folder / RECORD, {**cell.content, "cache": READS})
    before = dict.fromkeys(READS, 0) | {"misses": 60}
    for one, folder in ((before, cell.folder), ({"misses": 1000}, other.folder)):
        write_run(tmp_path, {"cells": [str(folder.relative_to(tmp_path))], "embedded": [{"cache": one}]})  # type: ignore[arg-type]
    found = [one for one in Store(tmp_path).cells() if one.content["identity"]["seed"] == 1]
    facts = dict(cache_facts(tmp_path, found))
    assert facts["image reads"] == "100, 30.0 % of them from the cache"
    assert facts["image forwards"] == "70: 60 before the cells, 10 within them"
    assert (facts["damaged entries rebuilt"], facts["read"], facts["written"]) == ("1", "3.00 MB", "0.500 MB")
    assert cache_facts(tmp_path / "nowhere", []) == []
