"""Who looks at a results folder sees what is done, runs, failed or is missing, and how long it will take."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from generated_records import METHODS, record_of, split_record

from ltbench.benchmark.commands.status import events, follow, sentences
from ltbench.results.files import write_json
from ltbench.results.status import Status
from ltbench.results.store import LOG_FILE, RECORD, STARTED
from ltbench.results.survey import JOURNAL, SILENT_SECONDS, Surveyor, log_tail

NOW = 1_800_000_000.0
NAMES = [f"synthetic/pareto/seed{seed}/patchcore-{'0' * 10}" for seed in range(1, 6)]


def stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def finish(root: Path, name: str, *, start: float, end: float, status: Status = Status.OK) -> None:
    seed = int(name.split("/")[2].removeprefix("seed"))
    split = split_record("synthetic", "pareto", seed, ("bolt", "nut"), "paper")
    error = "" if status is Status.OK else "as told"
    record = record_of(METHODS[1], split, status, error, "paper")
    record["timing"] |= {"started_at": stamp(start), "finished_at": stamp(end)}
    write_json(root / name / RECORD, record)
    (root / name / STARTED).unlink(missing_ok=True)


def begin(root: Path, name: str, *, stage: str = "", silent: float = 0.0) -> None:
    split = split_record(
        "synthetic", "pareto", int(name.split("/")[2].removeprefix("seed")), ("bolt",), "paper"
    )
    write_json(root / name / STARTED, record_of(METHODS[1], split, Status.OK, "", "paper"))
    step = {"event": "step", "stage": stage, "done": 3, "total": 9} if stage else {"event": "started"}
    journal = root / name / JOURNAL
    journal.write_text(json.dumps({"event": "started"}) + "\n" + json.dumps(step) + "\n")
    for path in (journal, root / name / STARTED):
        os.utime(path, (NOW - silent, NOW - silent))


def ask(root: Path, names: list[str]) -> None:
    table = {"name": "demo", "dataset": "synthetic", "splits": [], "methods": [], "seeds": []}
    cells = [
        {"folder": name, "dataset": "synthetic", "split": "pareto", "seed": seed, "method": "patchcore"}
        for seed, name in enumerate(names, start=1)
    ]
    write_json(root / "suites" / "demo.json", {**table, "cells": cells})


@pytest.fixture
def surveyor(tmp_path: Path) -> Surveyor:
    return Surveyor(tmp_path, clock=lambda: NOW)


def test_cells_are_counted_by_what_became_of_them(tmp_path: Path, surveyor: Surveyor) -> None:
    ask(tmp_path, NAMES)
    finish(tmp_path, NAMES[0], start=NOW - 200, end=NOW - 100)
    finish(tmp_path, NAMES[1], start=NOW - 100, end=NOW - 90, status=Status.TIMEOUT)
    begin(tmp_path, NAMES[2], stage="fit")
    found = surveyor.look()
    assert found.counts() == {
        ("synthetic", "pareto", "patchcore"): {"ok": 1, "timeout": 1, "running": 1, "missing": 2}
    }
    assert (found.missing, found.waiting) == (3, 2)
    assert [cell.name for cell in found.failed] == [NAMES[1]]
    assert [(cell.stage, cell.alive) for cell in found.running] == [("fit 3/9", True)]


def test_time_left_is_what_the_missing_cells_take_with_as_many_at_a_time(
    tmp_path: Path, surveyor: Surveyor
) -> None:
    ask(tmp_path, NAMES)
    for position, seconds in enumerate((100, 60, 80)):
        finish(tmp_path, NAMES[position], start=NOW - 300, end=NOW - 300 + seconds)
    assert surveyor.look().seconds_left() == 2 * 80
    for name in NAMES[3:]:
        begin(tmp_path, name)
    assert surveyor.look().seconds_left() == 2 * 80 / 2


def test_the_rate_is_that_of_the_last_cells_and_none_where_nothing_runs(
    tmp_path: Path, surveyor: Surveyor
) -> None:
    for position in range(4):
        finish(tmp_path, NAMES[position], start=NOW - 400, end=NOW - 40 + 10 * position)
    assert surveyor.look().cells_per_hour() is None
    begin(tmp_path, NAMES[4])
    assert surveyor.look().cells_per_hour() == pytest.approx(3600 * 3 / 40)


def test_nothing_is_known_of_the_time_before_the_first_cell(tmp_path: Path, surveyor: Surveyor) -> None:
    ask(tmp_path, NAMES)
    found = surveyor.look()
    assert (found.seconds_left(), found.cells_per_hour()) == (None, None)


def test_a_clock_that_jumped_back_gives_no_negative_time(tmp_path: Path, surveyor: Surveyor) -> None:
    ask(tmp_path, NAMES)
    finish(tmp_path, NAMES[0], start=NOW - 100, end=NOW - 500)
    finish(tmp_path, NAMES[1], start=NOW - 100, end=NOW - 70)
    begin(tmp_path, NAMES[2], silent=-10 * SILENT_SECONDS)
    found = surveyor.look()
    assert found.seconds_left() == 3 * 30
    assert [cell.silent for cell in found.running] == [10 * SILENT_SECONDS]


def test_a_cell_without_a_sign_of_life_was_not_finished(tmp_path: Path, surveyor: Surveyor) -> None:
    begin(tmp_path, NAMES[0], silent=SILENT_SECONDS + 1)
    found = surveyor.look()
    assert not found.running[0].alive
    assert "started, not finished" in "\n".join(sentences(found))


def test_a_record_is_read_again_only_if_it_changed(
    tmp_path: Path, surveyor: Surveyor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        finish(tmp_path, name, start=NOW - 100, end=NOW - 50)
    surveyor.look()
    read = []
    monkeypatch.setattr(
        "ltbench.results.survey.read_record", lambda path: read.append(path) or json.loads(path.read_bytes())
    )
    surveyor.look()
    assert read == []
    finish(tmp_path, NAMES[0], start=NOW - 100, end=NOW - 50, status=Status.ERROR)
    os.utime(tmp_path / NAMES[0] / RECORD, (NOW, NOW))
    assert len(surveyor.look().failed) == 1
    assert len(read) == 1


def test_a_half_written_record_is_left_out(tmp_path: Path, surveyor: Surveyor) -> None:
    finish(tmp_path, NAMES[0], start=NOW - 100, end=NOW - 50)
    finish(tmp_path, NAMES[1], start=NOW - 100, end=NOW - 50)
    record = tmp_path / NAMES[1] / RECORD
    record.write_bytes(record.read_bytes()[:-20])
    assert [cell.name for cell in surveyor.look().finished] == [NAMES[0]]


def test_a_failure_is_shown_with_the_last_lines_it_printed(tmp_path: Path, surveyor: Surveyor) -> None:
    finish(tmp_path, NAMES[0], start=NOW - 100, end=NOW - 50, status=Status.ERROR)
    (tmp_path / NAMES[0] / LOG_FILE).write_text("\n".join(f"line {number}" for number in range(50)))
    failed = surveyor.look().failed[0]
    assert log_tail(tmp_path, failed, lines=2) == "line 48\nline 49"
    assert log_tail(tmp_path, replace(failed, name="nowhere")) == ""


def test_between_two_looks_each_event_is_one_line(tmp_path: Path, surveyor: Surveyor) -> None:
    ask(tmp_path, NAMES)
    begin(tmp_path, NAMES[1])
    before = surveyor.look()
    begin(tmp_path, NAMES[0])
    finish(tmp_path, NAMES[1], start=NOW - 60, end=NOW)
    finish(tmp_path, NAMES[2], start=NOW - 30, end=NOW, status=Status.OUT_OF_MEMORY)
    lines = [re.sub(r"^[\d:]+ ", "", line) for line in events(before, surveyor.look())]
    assert lines == [
        f"started {NAMES[0]}",
        f"ok {NAMES[1]} in 60 s",
        f"oom {NAMES[2]} in 30 s: as told",
        "2 missing, about 3.0 min left",
    ]
    assert events(surveyor.look(), surveyor.look()) == []


def test_watching_ends_when_all_is_done(
    tmp_path: Path, surveyor: Surveyor, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(tmp_path, NAMES[:2])
    begin(tmp_path, NAMES[0])
    waited = []

    def sleep(seconds: float) -> None:
        finish(tmp_path, NAMES[len(waited)], start=NOW - 60, end=NOW)
        waited.append(seconds)

    follow(surveyor, 5.0, sleep)
    assert waited == [5.0, 5.0]
