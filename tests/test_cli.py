"""The command line as people use and misuse it: sentences, exit codes, nothing lost."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from split_trees import mvtec_style_class

from ltbench.results.store import Store

ROOT = Path(__file__).parents[1]
# A shell's background job ignores Ctrl-C, and so do its children unless they say otherwise.
HEARS_CTRL_C = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from ltbench.benchmark.cli import main; main()"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("bolt", "nut"):
        mvtec_style_class(tmp_path / "parts", name, train=4, good=3, bad=3)
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    own = {"LTBENCH_HOME": str(place / "home"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LTBENCH_")}
    return {**inherited, **own}


def ltbench(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ltbench", *words],
        capture_output=True, text=True, cwd=place, env=environment(place), timeout=120, check=False,
    )  # fmt: skip


def run_words(*more: str) -> list[str]:
    words = ["run", "-m", "chance", "-s", "clean", "-d", "folder:parts", "--view", "16/16", "--jobs", "1"]
    return [*words, *more]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["run", "-m", "patchcoer", "-s", "clean"], 2, "did you mean 'patchcore'?"),
        (["run", "-m", "chance", "-s", "paretto", "-d", "folder:parts"], 2, "did you mean 'pareto'?"),
        (["run", "-m", "chance", "-s", "clean", "-d", "sinthetic"], 2, "did you mean 'synthetic'?"),
        (["run", "-m", "chance", "-s", "clean", "--seed", "a"], 2, "'a' is no seed"),
        (["run", "-m", "chance", "-s", "clean", "--set", "gird=3"], 2, "did you mean 'grid'?"),
        (["run", "-m", "chance", "-s", "clean", "--set", "grid=x"], 2, "expected a whole number"),
        (["run", "-m", "chance", "-s", "clean", "--overlap", "some"], 2, "expected one of paper, none"),
        (["run", "-m", "chance"], 2, "split"),
        (["run", "-m", "chance", "-s", "clean", "-d", "mvtec"], 4, "https://www.mvtec.com"),
        (["bench", "--dataset", "dagm"], 4, "DAGM"),
        (["bench", "no-such-suite"], 2, "unknown suite 'no-such-suite'"),
        (["run", "-m", "chance", "-s", "clean", "-d", "folder:nowhere"], 4, "'nowhere' does not exist"),
        (["run", "-m", "chance", "-s", "clean", "--engine", "lokal"], 2, "unknown engine 'lokal'"),
        (["data", "path", "visa"], 4, "VisA"),
        (["results", "merge", "nowhere"], 2, "'nowhere' is no folder"),
        (["results", "export", "rows.xls"], 2, "expected one of .csv"),
    ],
)
def test_a_mistake_is_one_sentence_and_its_exit_code(
    place: Path, words: list[str], code: int, sentence: str
) -> None:
    done = ltbench(place, *words)
    assert (done.returncode, sentence in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_data_goes_to_stdout_and_words_to_stderr(place: Path) -> None:
    done = ltbench(place, *run_words("--json"))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["schema_version"], document["command"]) == (1, "run")
    assert document["cells"][0]["status"] == "ok"
    again = json.loads(ltbench(place, *run_words("--json")).stdout)
    assert again["reused"] == 1
    assert again["cells"][0]["means"] == document["cells"][0]["means"]


def test_a_dry_run_leaves_nothing(place: Path) -> None:
    done = ltbench(place, *run_words("--dry-run", "--json"))
    assert json.loads(done.stdout)["totals"]["to_run"] == 1
    assert not (place / "runs").exists()


def test_failed_cells_end_with_code_3_and_are_tried_again(place: Path) -> None:
    mask = place / "parts" / "bolt" / "ground_truth" / "scratch" / "000_mask.png"
    whole = mask.read_bytes()
    mask.write_bytes(b"no picture")
    failed = ltbench(place, *run_words())
    assert failed.returncode == 3, failed.stderr
    assert "000_mask.png" in failed.stderr
    mask.write_bytes(whole)
    assert ltbench(place, *run_words()).returncode == 0


def test_ctrl_c_while_libraries_are_imported_prints_no_traceback(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, *run_words()],
        cwd=place, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as running:  # fmt: skip
        wait_for_fork_server(running.pid)
        os.killpg(running.pid, signal.SIGINT)
        _, words = running.communicate(timeout=60)
    assert running.returncode == 130, words
    assert "interrupted" in words
    assert "Traceback" not in words


def wait_for_fork_server(session: int) -> None:
    """Wait until a process of the session has begun to import what cells need."""
    for _ in range(600):
        for process in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = os.getsid(int(process.name)) == session
                libraries = (process / "maps").read_text() if is_ours else ""
                command = (process / "cmdline").read_text() if is_ours else ""
            except OSError:
                continue
            if "multiprocessing.forkserver" in command and "libtorch" in libraries:
                return
        time.sleep(0.05)
    raise AssertionError("no fork server was started")


def test_an_interrupted_run_keeps_what_was_finished_and_the_same_command_does_the_rest(place: Path) -> None:
    words = run_words("--seed", "1-6")
    with subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, *words],
        cwd=place, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as running:  # fmt: skip
        wait_for_cells(place / "runs", 1)
        # As a terminal does: to the whole group.
        os.killpg(running.pid, signal.SIGINT)
        _, words_of_it = running.communicate(timeout=60)
    assert running.returncode == 130, words_of_it
    assert "interrupted" in words_of_it
    finished = cells(place)
    assert 1 <= len(finished) < 6
    undisturbed = ltbench(place, *words, "--results", "whole")
    resumed = ltbench(place, *words)
    assert (resumed.returncode, undisturbed.returncode) == (0, 0), resumed.stderr
    assert f"{len(finished)} of them finished before" in " ".join(resumed.stderr.split())
    same = ltbench(place, "results", "diff", "runs", "whole", "--tolerance", "0")
    assert same.returncode == 0, same.stderr


def test_a_killed_driver_leaves_a_started_cell_and_no_worker(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ltbench", *run_words("--seed", "1-15")],
        cwd=place, env=environment(place), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:  # fmt: skip
        wait_for_cells(place / "runs", 1)
        running.kill()
    finished = len(cells(place))
    time.sleep(2)
    # At most the cell that was running when the driver died was still finished.
    assert len(cells(place)) <= finished + 1
    assert ltbench(place, *run_words("--seed", "1-2")).returncode == 0


def test_results_are_listed_exported_and_reported(place: Path) -> None:
    ltbench(place, *run_words("--seed", "1-2"))
    listed = json.loads(ltbench(place, "results", "ls", "--json").stdout)["cells"]
    assert [cell["seed"] for cell in listed] == [1, 2]
    assert ltbench(place, "results", "show", listed[0]["folder"]).returncode == 0
    assert ltbench(place, "results", "export", "rows.csv").returncode == 0
    assert (place / "rows.csv").read_text().count("\n") == 1 + 2 * 2 * 7
    assert ltbench(place, "report").returncode == 0
    assert (place / "site" / "index.html").stat().st_size > 1000


def test_a_results_folder_that_cannot_be_written_is_one_sentence(place: Path) -> None:
    (place / "runs").write_text("a file in the way")
    done = ltbench(place, *run_words())
    assert done.returncode == 1
    assert "runs" in done.stderr
    assert "Traceback" not in done.stderr


def cells(place: Path) -> list[object]:
    return list(Store(place / "runs").cells())


def wait_for_cells(results: Path, count: int) -> None:
    patience = time.monotonic() + 90
    while len(list(results.glob("*/*/*/*/cell.json"))) < count:
        if time.monotonic() > patience:
            pytest.fail("no cell was finished in time")
        time.sleep(0.05)


def test_results_of_a_backbone_that_is_gone_are_shown_and_left_alone(place: Path) -> None:
    """Version 1 had the backbone 'tiny'; its own command is refused before anything starts."""
    old = Path("synthetic", "step_k4_nr20-limit3", "seed2", "patchcore-9bbe2333ec")
    shutil.copytree(ROOT / "tests" / "golden_results" / "version1" / old, place / "runs" / old)
    (cell,) = Store(place / "runs").cells()
    before = {path: path.read_bytes() for path in cell.folder.iterdir()}
    again = ltbench(place, *shlex.split(cell.record.cell.command())[1:], "--results", "runs")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("error: unknown backbone 'tiny': ")
    assert again.stderr.count("\n") == 1

    listed = ltbench(place, "results", "ls", "--results", "runs")
    assert (listed.returncode, str(old) in listed.stdout) == (0, True)
    assert ltbench(place, "report", "--results", "runs", "--out", "site").returncode == 0
    board = (place / "site" / "synthetic--step_k4_nr20-limit3.html").read_text(encoding="utf-8")
    assert 'data-backbone="tiny"' in board
    assert {path: path.read_bytes() for path in cell.folder.iterdir()} == before
    assert [one.folder for one in Store(place / "runs").cells()] == [cell.folder]
