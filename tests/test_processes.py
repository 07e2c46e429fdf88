"""A process that misbehaves becomes a status and a sentence, and its neighbours go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faulty_jobs
import pytest

from ltbench.benchmark.processes import LOG_HEAD_BYTES, LOG_TAIL_BYTES, Child, Processes
from ltbench.benchmark.worker import Ended
from ltbench.results.status import Status


@pytest.fixture(scope="module")
def processes() -> Processes:
    return Processes(threads_per_child=1)


def end_of(child: Child, patience: float = 60) -> Ended:
    start = time.monotonic()
    while child.poll():
        time.sleep(0.01)
        if time.monotonic() - start > patience:
            child.kill()
            pytest.fail("the process outlived the test's patience")
    return child.result()


@pytest.mark.parametrize(
    ("job", "limits", "status", "sentence"),
    [
        (faulty_jobs.works, {}, Status.OK, ""),
        (faulty_jobs.raises, {}, Status.ERROR, "ZeroDivisionError: one over nothing"),
        (faulty_jobs.raises_expected, {}, Status.ERROR, "cannot read 'x.png': truncated"),
        (faulty_jobs.hangs, {"timeout": 0.5}, Status.TIMEOUT, "0.5 seconds"),
        (faulty_jobs.hangs_deaf, {"timeout": 0.5}, Status.TIMEOUT, "0.5 seconds"),
        (faulty_jobs.allocates, {"memory_gb": 1.2}, Status.OUT_OF_MEMORY, "1.2 GB"),
        (faulty_jobs.runs_out_of_memory, {}, Status.OUT_OF_MEMORY, "no memory left"),
        (faulty_jobs.segfaults, {}, Status.KILLED, "SIGSEGV"),
        (faulty_jobs.killed, {}, Status.KILLED, "SIGKILL"),
        (faulty_jobs.exits, {}, Status.ERROR, "exit code 7"),
    ],
)
def test_every_end_has_its_status(
    processes: Processes,
    tmp_path: Path,
    job: Callable[..., None],
    limits: dict[str, Any],
    status: Status,
    sentence: str,
) -> None:
    ended = end_of(processes.start(job, (), tmp_path / "log.txt", **limits))
    assert (ended.status, sentence in ended.error) == (status, True), ended


def test_progress_reaches_the_parent(processes: Processes, tmp_path: Path) -> None:
    child = processes.start(faulty_jobs.works, (), tmp_path / "log.txt")
    end_of(child)
    assert child.advanced is not None
    assert (child.advanced.stage, child.advanced.total) == ("counting", 3)


def test_a_traceback_is_in_the_log(processes: Processes, tmp_path: Path) -> None:
    child = processes.start(faulty_jobs.raises, (), tmp_path / "log.txt")
    end_of(child)
    assert "ZeroDivisionError" in child.log.tail()
    assert "faulty_jobs.py" in (tmp_path / "log.txt").read_text()


def test_a_log_stays_small_and_keeps_its_end(processes: Processes, tmp_path: Path) -> None:
    child = processes.start(faulty_jobs.prints, (), tmp_path / "log.txt")
    assert end_of(child).status is Status.OK
    written = (tmp_path / "log.txt").read_bytes()
    assert written.startswith(b"0000000 ")
    assert written.endswith(b"the last words\n")
    assert len(written) < LOG_HEAD_BYTES + LOG_TAIL_BYTES + 200
    assert child.log.tail(1) == "the last words"


def test_an_unwritable_log_does_not_stop_the_work(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    child = processes.start(faulty_jobs.prints, (), tmp_path / "file" / "log.txt")
    assert end_of(child).status is Status.OK


def test_killed_children_are_gone(processes: Processes, tmp_path: Path) -> None:
    child = processes.start(faulty_jobs.hangs, (), tmp_path / "log.txt")
    child.kill()
    assert not child.process.is_alive()
