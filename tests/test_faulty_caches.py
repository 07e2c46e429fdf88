"""Features that are truncated, or lie where nothing can be written, cost time and no number."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from faulty_cells import Quiet
from split_trees import mvtec_style_class

from ltbench.benchmark.cell import Cell
from ltbench.benchmark.engines import Options
from ltbench.benchmark.run import plan, run
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import View
from ltbench.results.status import Status
from ltbench.results.store import MAPS_FILE, SCORES_FILE, StoredCell


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    mvtec_style_class(tmp_path / "parts", "bolt", train=4, good=3, bad=3)
    return Cell(
        f"folder:{tmp_path / 'parts'}", "clean", 1, "patchcore", {"backbone": "desc"}, view=View(32, 32)
    )


def run_one(cell: Cell, settings: Settings) -> StoredCell:
    planned = plan([cell], settings).cells
    done = run(planned, settings, Options(keep_maps="all"), lambda *_: nullcontext(Quiet()))
    assert done.cells[0].status is Status.OK, done.cells[0].content["error"]
    return done.cells[0]


def require_equal(left: StoredCell, right: StoredCell) -> None:
    for name in (SCORES_FILE, MAPS_FILE):
        assert (left.folder / name).read_bytes() == (right.folder / name).read_bytes()
    assert left.metrics()["value"].equals(right.metrics()["value"])


def test_truncated_features_are_made_again_and_reported(cell: Cell, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", results=tmp_path / "first", jobs=1)
    first = run_one(cell, settings)
    stored = sorted(settings.local(settings.cache_root).glob("*/??/*.npy"))
    assert len(stored) == 10
    for path in stored[::2]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = run_one(cell, Settings(home=settings.home, results=tmp_path / "second", jobs=1))
    require_equal(first, again)
    # Reported where they were found: by the pass that embeds before the first cell.
    log = (tmp_path / "second" / ".locks" / "embed.log").read_text()
    assert log.count("are damaged and will be computed again") == 5
    third = run_one(cell, Settings(home=settings.home, results=tmp_path / "third", jobs=1))
    require_equal(first, third)
    assert third.content["cache"]["rebuilt"] == 0


@pytest.fixture
def disk(mounted: Callable[[int], Path]) -> Path:
    """A file system that can be made read-only, for root too."""
    return mounted(8)


def test_a_read_only_cache_is_read_and_what_it_lacks_is_computed(
    cell: Cell, tmp_path: Path, disk: Path
) -> None:
    first = run_one(cell, Settings(home=tmp_path / "home", cache=disk, results=tmp_path / "first", jobs=1))
    stored = sorted(disk.glob("*/??/*.npy"))
    for path in stored[:3]:
        path.unlink()
    stored[3].write_bytes(stored[3].read_bytes()[:-9])
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    again = run_one(cell, Settings(home=tmp_path / "home", cache=disk, results=tmp_path / "second", jobs=1))
    require_equal(first, again)
    log = (tmp_path / "second" / ".locks" / "embed.log").read_text()
    assert log.count("cannot be stored") == 1
    assert "Read-only file system" in log
    assert again.content["cache"]["hits"] > 0
