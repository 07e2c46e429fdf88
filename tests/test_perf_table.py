"""What becomes of measurements: files that add up, the table of the documentation, the smoke run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ltbench.results.errors import ResultsError
from perf import overlap, scale
from perf.ceilings import Ceiling
from perf.comparison import Comparison, Limit, Row, Side
from perf.document import END, GPU, PAGE, START, START_GPU, written
from perf.memory import resident
from perf.pairs import measure
from perf.performance import read_performance, write_performance
from perf.table import markdown, merged, stored_rows

MACHINE = {"processor": "Some CPU", "cores": "2", "python": "3.11", "numpy": "2.4", "load": "0.1"}
ROOT = Path(__file__).parents[1]


def stored(comparison, seconds=0.5, **more):
    row = Row(comparison, "100 things", "ltbench", ours=True, seconds=seconds, rounds=3, ratio=1.0, **more)
    return stored_rows([row], "2026-01-02T03:04:05+00:00", "0.5")


def file_of(path, rows, machine=MACHINE):
    write_performance(path, rows, machine=machine, ceilings={"sort": "150 million keys/s"})
    return read_performance(path)


def test_a_comparison_measured_anew_replaces_its_rows_and_no_others(tmp_path):
    earlier = file_of(tmp_path / "p.parquet", [*stored("b"), *stored("a"), *stored("gone")])
    rows = merged(earlier, stored("b", seconds=0.7), {**MACHINE, "load": "9"}, ["a", "b", "c"])
    assert [(row["comparison"], row["seconds"]) for row in rows] == [("a", 0.5), ("b", 0.7)]
    again = file_of(tmp_path / "p.parquet", rows)
    assert again.rows["seconds"].tolist() == [0.5, 0.7]


def test_measurements_of_another_machine_or_version_do_not_mix(tmp_path):
    earlier = file_of(tmp_path / "p.parquet", stored("a"))
    assert merged(earlier, stored("b"), {**MACHINE, "numpy": "2.5"}, ["a", "b"]) == stored("b")


def test_the_share_of_a_limit_is_its_time_over_ours():
    side = Side("ours", lambda given: sum(range(300_000)))
    one = Comparison("c", "s", lambda brief: None, side, (), None, limit=Limit("sort", 1e6, "one sort"))
    known = {"sort": Ceiling("sort", 1e9, "")}
    row = measure(one, seconds_per_side=0.1, ceilings=known)[0]
    assert row.share == pytest.approx(1e-3 / row.seconds)
    assert measure(one, seconds_per_side=0.1)[0].share is None
    assert measure(one, seconds_per_side=0.1, ceilings=known, brief=True)[0].share is None


def test_the_documentation_says_what_was_measured(tmp_path):
    peer = Row("a", "100 things", "peer", ours=False, seconds=41.7, ratio=83.4, memory_ratio=8.5)
    peer = replace(peer, target="60x faster", verdict="ok")
    missed = Row(
        "a", "100 things", "slow", ours=False, ratio=2.0, target="5x faster", verdict="wanted 5x faster"
    )
    rows = [
        *stored("a", limit="one sort (sort)", share=0.58),
        *stored_rows([peer, missed], "2026-01-02", "0.5"),
    ]
    found = file_of(tmp_path / "p.parquet", [*rows, *stored("alone", target="below 2 GiB", verdict="ok")])
    table = markdown(found)
    assert (
        "| **a**: 100 things | peer | 83.4 | 8.5 | 60x faster |  | 0.5 s | 58 %, one sort (sort) |" in table
    )
    assert "|  | slow | 2 |  | 5x faster: wanted 5x faster |  |  |  |" in table
    assert len({line.count("|") for line in table.splitlines()}) == 1
    page = written(PAGE.read_text(), found)
    assert written(page, found) == page
    assert "Some CPU, 2 cores" in page
    with pytest.raises(ValueError, match="has no lines"):
        written("no markers", found)
    text = PAGE.read_text()
    assert (text.count(START), text.count(START_GPU), text.count(END)) == (1, 1, 2)


def test_a_gpu_has_a_table_of_its_own(tmp_path):
    found = file_of(tmp_path / "p.parquet", [*stored(f"{GPU}a"), *stored("b")])
    found = replace(found, machine={**found.machine, "accelerator": "Some GPU"})
    page = written(f"one\n{START_GPU}{END}two\n{START}{END}three\n", found)
    first, second = page.split("two\n")
    assert "**GPU: a**" in first
    assert "Some GPU" in first
    assert "**b**" in second
    assert "GPU" not in second.partition(END)[0]
    only = replace(found, rows=found.rows[found.rows["comparison"] == f"{GPU}a"])
    assert written(page, only) == page


def test_a_large_category_is_streamed_in_little_memory():
    before = resident("VmRSS")
    found = scale.streamed(24, 256, 256 << 10)
    assert found["peak_mb"] * 1e6 >= before
    row = scale.measured(24, 256)[0]
    assert row.verdict == "ok"
    # A ceiling of 1 GiB there; of 256 KiB here, where anomalous pixels go to disk.
    assert dict(row.answer) == pytest.approx(found["answer"], rel=0, abs=1e-12)


def test_threads_are_compared_with_taking_turns():
    at_once, in_turn = overlap.measured(1, 6, 56)
    assert at_once.ours
    assert not in_turn.ours
    assert in_turn.ratio == pytest.approx(in_turn.seconds / at_once.seconds)


def test_a_smoke_run_writes_files_that_say_so(tmp_path):
    command = [sys.executable, "-m", "perf", "gaussians", "--brief", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_performance(tmp_path / "performance.parquet")
    assert found.is_brief
    assert set(found.rows["comparison"]) == {"gaussians"}
    written_rows = json.loads((tmp_path / "performance.json").read_text())["rows"]
    assert set(asdict(Row("", "", "", ours=True))) <= set(written_rows[0])


def test_a_damaged_file_is_an_error_with_its_name(tmp_path):
    assert read_performance(tmp_path / "performance.parquet") is None
    (tmp_path / "performance.parquet").write_bytes(b"no parquet")
    with pytest.raises(ResultsError, match=r"cannot read .*performance\.parquet"):
        read_performance(tmp_path / "performance.parquet")
