"""Whatever goes wrong: no finished cell is lost, no half file is read, the second call does the rest,
and what is stored then equals an undisturbed run in every column but those of time and memory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_cells import Fault, drive
from remote_roots import new_bucket
from split_trees import mvtec_style_class

from ltbench.benchmark.processes import LOG_HEAD_BYTES, LOG_TAIL_BYTES
from ltbench.results.errors import ResultsError
from ltbench.results.places import Place, below, matches, place
from ltbench.results.status import Status
from ltbench.results.store import MAPS_FILE, METRICS_FILE, SCORES_FILE, Store

ROOT = Path(__file__).parents[1]
MEASURED_ANEW = ["fit_seconds", "score_ms_per_image", "peak_rss_mb", "peak_vram_mb", "started_at"]
"""Columns of metrics.parquet that two equal runs do not share."""
CHECKOUT = ["git_commit", "git_dirty"]
"""Columns that move when somebody works in the checkout while the tests run."""
SEEDS = (1, 2, 3)
SUITE = range(1, 7)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("faults") / "parts"
    for name in ("bolt", "nut"):
        mvtec_style_class(root, name, train=4, good=3, bad=3)
    return str(root)


@pytest.fixture(scope="module")
def undisturbed(tree: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    drive(tree, str(folder / "runs"), str(folder / "home"), SUITE)
    return folder / "runs"


def require_equal(found: Place, undisturbed: Path, seeds: int) -> None:
    """Bit for bit, but for the columns that are measured anew."""
    cells = list(Store(found).cells())
    assert sorted(cell.content["identity"]["seed"] for cell in cells) == list(range(1, seeds + 1))
    for cell in cells:
        assert cell.damage() == ""
        whole = undisturbed / below(cell.folder, found)
        for name in (SCORES_FILE, MAPS_FILE):
            assert (cell.folder / name).read_bytes() == (whole / name).read_bytes()
        expected = Store(undisturbed).find(whole)
        assert expected is not None
        left, right = (
            entry.metrics().drop(columns=[*MEASURED_ANEW, *CHECKOUT]) for entry in (cell, expected)
        )
        assert left.columns.tolist() == right.columns.tolist()
        assert left.equals(right), left.compare(right)
    assert Store(found).unfinished() == []


@pytest.mark.parametrize(
    ("kind", "limits", "status"),
    [
        ("killed_before_its_record", {}, Status.KILLED),
        ("killed_in_the_middle_of_a_file", {}, Status.KILLED),
        pytest.param("segfaults_before_its_record", {}, Status.KILLED, marks=pytest.mark.slow),
        ("allocates_before_its_record", {"memory_gb": 1.5}, Status.OUT_OF_MEMORY),
        ("finds_no_space", {}, Status.ERROR),
        ("prints_without_end", {}, Status.OK),
        ("lives_in_another_century", {"timeout": 100.0}, Status.OK),
        pytest.param("hangs_before_its_record", {"timeout": 20.0}, Status.TIMEOUT, marks=pytest.mark.slow),
    ],
)
def test_a_cell_that_misbehaves_is_a_row_and_the_second_call_does_the_rest(
    tree: str,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    limits: dict[str, Any],
    status: Status,
) -> None:
    fault = Fault(kind, 2, str(tmp_path / "happened"))
    monkeypatch.setattr("ltbench.benchmark.engines.local.run_cell", fault)
    where = (tree, str(tmp_path / "runs"), str(tmp_path / "home"))
    first = drive(*where, SEEDS, **limits)
    assert Path(fault.happened).exists()
    assert [cell.status for cell in first.cells] == [Status.OK, status, Status.OK]
    if kind == "prints_without_end":
        assert (first.cells[1].folder / "log.txt").stat().st_size < LOG_HEAD_BYTES + LOG_TAIL_BYTES + 200
    if status is not Status.OK:
        assert first.cells[1].metrics()["value"].isna().all()
    second = drive(*where, SEEDS, **limits)
    assert second.reused == (3 if status is Status.OK else 2)
    require_equal(tmp_path / "runs", undisturbed, 3)


def test_identity_and_status_do_not_depend_on_the_clock(
    tree: str, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed, tmp_path / "runs")
    for path in (tmp_path / "runs").rglob("*"):
        os.utime(path, (4e9, 4e9))
    monkeypatch.setattr(time, "time", lambda: 1e6)
    again = drive(tree, str(tmp_path / "runs"), str(tmp_path / "home"), SUITE)
    assert (again.reused, again.failed) == (6, [])


@pytest.mark.parametrize("name", [METRICS_FILE, "cell.json"])
def test_a_truncated_file_costs_its_own_cell_alone(
    tree: str, undisturbed: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(undisturbed, tmp_path / "runs")
    victim = list(Store(tmp_path / "runs").cells())[1].folder / name
    assert isinstance(victim, Path)
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
    assert drive(tree, str(tmp_path / "runs"), str(tmp_path / "home"), SUITE).reused == 5
    require_equal(tmp_path / "runs", undisturbed, 6)


@pytest.fixture
def small_disk(mounted: Callable[[int], Path]) -> Path:
    return mounted(4)


def test_a_full_disk_ends_the_run_and_keeps_what_is_finished(
    tree: str, undisturbed: Path, tmp_path: Path, small_disk: Path
) -> None:
    where = (tree, str(small_disk / "runs"), str(tmp_path / "home"))
    drive(*where, (1,))
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):  # noqa: PT012
        while True:
            file.write(bytes(4096))
    with pytest.raises(ResultsError, match=r"No space left on device.*choose a folder with free space"):
        drive(*where, SEEDS)
    (kept,) = Store(small_disk / "runs").cells()
    assert (kept.content["identity"]["seed"], kept.damage()) == (1, "")
    ballast.unlink()
    assert drive(*where, SEEDS).reused == 1
    require_equal(small_disk / "runs", undisturbed, 3)


def start_driver(tree: str, results: str, home: Path, seeds: int, **more: str) -> subprocess.Popen[bytes]:
    words = (
        f"from faulty_cells import drive; drive({tree!r}, {results!r}, {str(home)!r}, range(1, {seeds + 1})"
    )
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    return subprocess.Popen(
        [sys.executable, "-c", f"{words}, **{more!r})"],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def wait_for_a_cell(results: Place) -> None:
    patience = time.monotonic() + 300
    while not matches(results, "*/*/*/*/cell.json"):
        if time.monotonic() > patience:
            pytest.fail("no cell was finished in time")
        time.sleep(0.02)


def test_a_driver_killed_and_started_again_ends_where_an_undisturbed_one_does(
    tree: str, undisturbed: Path, tmp_path: Path
) -> None:
    with start_driver(tree, str(tmp_path / "runs"), tmp_path / "home", 6) as driver:
        wait_for_a_cell(tmp_path / "runs")
        # The whole group, workers and fork server too: as when a machine loses power.
        os.killpg(driver.pid, signal.SIGKILL)
    finished = [cell for cell in Store(tmp_path / "runs").cells() if not cell.damage()]
    assert len(finished) >= 1
    again = drive(tree, str(tmp_path / "runs"), str(tmp_path / "home"), SUITE)
    assert again.reused == len(finished)
    require_equal(tmp_path / "runs", undisturbed, 6)


def test_a_run_on_s3_killed_and_started_again_ends_where_an_undisturbed_one_does(
    tree: str, undisturbed: Path, tmp_path: Path, s3_variables: dict[str, str]
) -> None:
    # Complete: the fork server of this process may be older than the variables.
    url = new_bucket(s3_variables, complete=True)
    with start_driver(tree, url, tmp_path / "home", 6) as driver:
        wait_for_a_cell(place(url))
        os.killpg(driver.pid, signal.SIGKILL)
    finished = [cell for cell in Store(place(url)).cells() if not cell.damage()]
    again = drive(tree, url, str(tmp_path / "home"), SUITE)
    assert again.reused == len(finished) >= 1
    assert [cell.content["error"] for cell in again.failed] == []
    require_equal(place(url), undisturbed, 6)
    assert (again.cells[-1].folder / "log.txt").exists()


@pytest.mark.parametrize("where", ["here", pytest.param("s3", marks=pytest.mark.slow)])
def test_two_runs_of_one_suite_at_once_leave_what_one_does(
    tree: str, undisturbed: Path, tmp_path: Path, request: pytest.FixtureRequest, where: str
) -> None:
    url = str(tmp_path / "runs") if where == "here" else new_bucket(request.getfixturevalue("s3_variables"))
    # Homes of their own: two machines, which share no lock if the results lie behind a URL.
    drivers = [start_driver(tree, url, tmp_path / name, 4) for name in ("one", "two")]
    assert [driver.wait(timeout=300) for driver in drivers] == [0, 0]
    require_equal(place(url), undisturbed, 4)
