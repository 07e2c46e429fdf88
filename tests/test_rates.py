"""Estimates come from what ran on this machine, say how sure they are, and say nothing where nothing ran."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generated_records import METHODS, record_of, split_record
from hypothesis import given
from hypothesis import strategies as st

from ltbench.benchmark import rates
from ltbench.benchmark.commands.forecasts import duration, duration_range, size
from ltbench.benchmark.estimate import CellEstimate, Interval, estimate_cell, estimate_embedding
from ltbench.benchmark.rates import CellRun, Embedding, Rates
from ltbench.results.environment import environment
from ltbench.results.status import Status
from ltbench.results.store import StoredCell

RUN = CellRun(
    method="patchcore", backbone="tiny", config_digest="c", device="cpu", threads=1, train_images=100,
    test_images=200, fit_seconds=10.0, score_seconds=4.0, evaluate_seconds=2.0, wall_seconds=17.0,
    peak_rss_mb=800.0, peak_vram_mb=None, stored_bytes=50_000, split="synthetic/pareto/1", started_at="1",
)  # fmt: skip
PASS = Embedding(
    backbone="tiny", weights_digest="w", layers=("a",), view="v", device="cpu", torch="2", threads=1,
    images=100, seconds=5.0, record_bytes=1000.0, peak_rss_mb=300.0,
)  # fmt: skip


def estimated(runs: list[CellRun], **asked: object) -> CellEstimate | None:
    question = {
        "method": "patchcore", "backbone": "tiny", "config_digest": "c", "device": "cpu", "threads": 1,
        "train_images": 100, "test_images": 200, **asked,
    }  # fmt: skip
    return estimate_cell(Rates(cells=runs), **question)  # type: ignore[arg-type]


def runs_of(seconds: list[float], **changes: object) -> list[CellRun]:
    return [replace(RUN, fit_seconds=value, started_at=str(value), **changes) for value in seconds]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other", [{"method": "padim"}, {"backbone": "timm:resnet18"}, {"device": "cuda"}], ids=str
)
def test_what_never_ran_here_is_unknown(other: dict[str, str]) -> None:
    assert estimated([RUN], **other) is None
    assert estimated([]) is None


def test_the_same_cell_again_takes_what_it_took() -> None:
    found = estimated(runs_of([9.0, 10.0, 11.0]))
    assert found is not None
    assert (found.seconds.middle, found.measurements, found.basis) == (17.0, 3, "3 cells with these fields")
    # At least 15 % to both sides: fits spread by 1 s only.
    assert found.seconds.low == pytest.approx(17 / 1.15)
    assert found.seconds.high == pytest.approx(17 * 1.15)


def test_one_measurement_says_less_than_three() -> None:
    one, three = estimated(runs_of([10.0])), estimated(runs_of([10.0, 10.0, 10.0]))
    assert one is not None
    assert three is not None
    assert one.seconds.high > three.seconds.high > three.seconds.middle == one.seconds.middle


def test_more_images_than_measured_lie_between_linear_and_quadratic_growth() -> None:
    found = estimated(runs_of([10.0, 10.0, 10.0]), train_images=400)
    assert found is not None
    rest = RUN.score_seconds + RUN.evaluate_seconds + 1.0
    assert found.seconds.middle == pytest.approx(4 * 10 + rest)
    assert found.seconds.high == pytest.approx(16 * 10 + rest)


@given(exponent=st.floats(0.0, 2.5), amount=st.floats(0.01, 50.0), size=st.integers(50, 5000))
def test_growth_that_was_measured_is_followed(exponent: float, amount: float, size: int) -> None:
    sizes = (50, 100, 400, 1600)
    runs = [
        replace(RUN, train_images=count, fit_seconds=amount * count**exponent, started_at=str(count))
        for count in sizes
    ]
    found = estimated(runs, train_images=size)
    assert found is not None
    rest = RUN.score_seconds + RUN.evaluate_seconds
    beside = float(np.median([max(0.0, 17.0 - rest - run.fit_seconds) for run in runs]))
    assert found.seconds.middle == pytest.approx(amount * size**exponent + rest + beside, rel=1e-6)


def test_other_fields_and_other_threads_open_the_interval() -> None:
    same = estimated(runs_of([10.0] * 3))
    fields = estimated(runs_of([10.0] * 3), config_digest="other")
    threads = estimated(runs_of([10.0] * 3), threads=4)
    assert same is not None
    assert fields is not None
    assert threads is not None
    assert fields.seconds.high >= 2 * fields.seconds.middle
    assert "other fields" in fields.basis
    assert threads.seconds.high >= 4 * threads.seconds.middle
    assert threads.seconds.low <= threads.seconds.middle / 4
    assert same.seconds.high < fields.seconds.high < threads.seconds.high


def test_computing_metrics_alone_takes_no_fit() -> None:
    found = estimated(runs_of([10.0] * 3), evaluate_only=True)
    assert found is not None
    assert found.seconds.middle == pytest.approx(RUN.evaluate_seconds + 1.0)


def test_memory_grows_with_images_and_never_shrinks() -> None:
    more, fewer = estimated([RUN], train_images=300), estimated([RUN], train_images=10)
    assert more is not None
    assert fewer is not None
    assert (more.rss_mb.low, more.rss_mb.high) == (800.0, 2400.0)
    assert fewer.rss_mb.high == 800.0
    assert more.vram_mb is None


def test_a_backbone_is_known_by_weights_layers_view_device_and_torch() -> None:
    asked = {
        "backbone": "tiny", "weights_digest": "w", "layers": ("a",), "view": "v", "device": "cpu",
        "torch": "2",
    }  # fmt: skip
    known = Rates(embeddings=[PASS])
    found = estimate_embedding(known, **asked)  # type: ignore[arg-type]
    assert found is not None
    seconds, size_of_record, count = found
    assert (seconds.middle, size_of_record.middle, count) == (0.05, 1000.0, 1)
    assert seconds.low < 0.05 < seconds.high
    for name in asked:
        assert estimate_embedding(known, **{**asked, name: ("b",) if name == "layers" else "x"}) is None  # type: ignore[arg-type]


def stored(status: Status = Status.OK, **machine: object) -> StoredCell:
    split = split_record("synthetic", "pareto", 1, ("bolt", "nut"), "paper")
    record = record_of(METHODS[1], split, status, "", "paper")
    return StoredCell(Path("nowhere"), {**record, "environment": {**environment(), **machine}})


def test_records_of_this_machine_count_and_those_of_others_do_not(tmp_path: Path) -> None:
    (found,) = rates.load(tmp_path, [stored(), stored(host="elsewhere"), stored(Status.ERROR)]).cells
    assert (found.method, found.fit_seconds, found.peak_rss_mb) == ("patchcore", 21.4, 812.0)
    split = stored().content["split"]["categories"]
    assert found.test_images == sum(row["n_test_good"] + row["n_test_defects"] for row in split)
    assert found.train_images == sum(row["n_train_good"] + row["n_train_defects"] for row in split)


def test_a_cell_that_was_noted_and_is_stored_counts_once_with_its_wall_time(tmp_path: Path) -> None:
    noted = rates.cell_run(stored(), wall_seconds=30.0)
    assert noted is not None
    rates.note(tmp_path, [noted, PASS])
    found = rates.load(tmp_path, [stored()])
    assert [run.wall_seconds for run in found.cells] == [30.0]
    assert found.embeddings == (PASS,)


def test_a_half_line_or_one_of_another_version_is_passed_over(tmp_path: Path) -> None:
    rates.note(tmp_path, [RUN])
    (file,) = (tmp_path / "rates").iterdir()
    whole = json.loads(file.read_text())
    newer = json.dumps({**whole, "started_at": "2", "unheard_of": 1})
    older = json.dumps({"kind": "cell", "method": "patchcore"})
    file.write_text(file.read_text() + newer + "\n" + older + "\n[1]\n" + json.dumps(whole)[:40])
    assert [run.started_at for run in rates.load(tmp_path).cells] == ["1", "2"]


def test_notes_that_cannot_be_written_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "rates").write_text("in the way")
    rates.note(tmp_path, [RUN])
    assert rates.load(tmp_path) == Rates((), ())


def test_old_notes_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_BYTES", 2000)
    monkeypatch.setattr(rates, "KEPT_LINES", 3)
    for number in range(20):
        rates.note(tmp_path, [replace(RUN, started_at=str(number))])
    kept = [run.started_at for run in rates.load(tmp_path).cells]
    assert kept[-1] == "19"
    assert 3 <= len(kept) < 20


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (1.23, "1.2 s"), (55.0, "55 s"), (89.0, "89 s"), (90.0, "1.5 min"), (7200.0, "2.0 h")],
)
def test_durations_have_two_digits(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_ranges_and_sizes_in_words() -> None:
    assert duration_range(Interval(40.0, 55.0, 90.0)) == "40 s to 1.5 min, about 55 s"
    assert [size(value) for value in (12.0, 1500.0, 2.5e9)] == ["12 bytes", "1.5 KB", "2.5 GB"]
