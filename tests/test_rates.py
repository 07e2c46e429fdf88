"""Estimates come from what ran on this machine, say how sure they are, and say nothing where nothing ran."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from generated_records import METHODS, record_of, split_record

from ltbench.benchmark import forecast, rates
from ltbench.benchmark.commands.forecasts import duration, duration_range, size
from ltbench.benchmark.embed import EmbeddingJob
from ltbench.benchmark.forecast import CellEstimate, Interval, estimate_cell, interval
from ltbench.benchmark.rates import CellRun, Embedding, Rates
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import View
from ltbench.results.environment import package_versions
from ltbench.results.status import Status
from ltbench.results.store import StoredCell

RUN = CellRun(
    method="patchcore", backbone="desc", config_digest="c", device="cpu", threads=1, train_images=100,
    test_images=200, fit_seconds=10.0, score_seconds=4.0, evaluate_seconds=2.0, wall_seconds=17.0,
    peak_rss_mb=800.0, peak_vram_mb=None, stored_bytes=50_000,
)  # fmt: skip
PASS = Embedding(
    backbone="desc", weights_digest="w", layers=["a"], view="v", device="cpu", torch="2", images=100,
    seconds=5.0, record_bytes=1000.0,
)  # fmt: skip


def estimated(
    runs: list[CellRun], *, train: int = 100, test: int = 200, threads: int = 1, evaluate_only: bool = False,
    **facts: str,
) -> CellEstimate | None:  # fmt: skip
    """Estimate of a cell of RUN's method, but for what is given."""
    device = facts.pop("device", "cpu")
    named = {"name": "patchcore", "backbone": "desc", "config_digest": "c", **facts}
    prepared = SimpleNamespace(
        facts=SimpleNamespace(**named), split=SimpleNamespace(train=[0] * train, test=[0] * test)
    )
    settings = Settings(device=device, threads=threads)
    entry = SimpleNamespace(prepared=prepared)
    return estimate_cell(entry, settings, Rates(runs), 1, evaluate_only=evaluate_only)  # type: ignore[arg-type]


def runs_of(*seconds: float) -> list[CellRun]:
    return [replace(RUN, fit_seconds=value, wall_seconds=value + 7) for value in seconds]


@pytest.mark.parametrize(
    "other", [{"name": "padim"}, {"backbone": "timm:resnet18"}, {"device": "cuda"}], ids=str
)
def test_what_never_ran_here_is_unknown(other: dict[str, str]) -> None:
    assert estimated([RUN], **other) is None
    assert estimated([]) is None


def test_the_same_cell_again_takes_the_median_of_what_it_took() -> None:
    found = estimated(runs_of(9.0, 10.0, 15.0))
    assert found is not None
    assert (found.seconds.middle, found.basis) == (17.0, "3 cells with these fields")
    assert found.seconds.low == pytest.approx(17 / 1.15)
    assert found.seconds.high == 22.0


def test_one_measurement_says_less_than_three() -> None:
    one, three = interval([10.0]), interval([10.0, 10.0, 10.0])
    assert one.low < three.low < three.middle == one.middle < three.high < one.high


def test_more_images_take_longer_in_proportion_and_at_most_with_their_square() -> None:
    found = estimated(runs_of(10.0, 10.0, 10.0), train=400)
    assert found is not None
    assert found.seconds.middle == pytest.approx(4 * 10 + 7)
    assert found.seconds.high > 16 * 10 + 7
    twice = estimated(runs_of(10.0), test=400)
    assert twice is not None
    assert twice.seconds.middle == pytest.approx(10 + 2 * 6 + 1)
    assert twice.stored_bytes.middle == 100_000


def test_other_fields_and_other_threads_open_the_interval() -> None:
    fields = estimated(runs_of(10.0, 10.0, 10.0), config_digest="other")
    threads = estimated(runs_of(10.0, 10.0, 10.0), threads=4)
    assert fields is not None
    assert threads is not None
    assert (fields.seconds.low, fields.seconds.high) == (17 / 2, 17 * 2)
    assert fields.basis == "3 cells with other fields"
    assert (threads.seconds.low, threads.seconds.high) == (17 / 4, 17 * 4)
    assert threads.basis == "3 cells with these fields, other number of threads"


def test_cells_with_these_fields_and_threads_are_preferred() -> None:
    slow = replace(RUN, config_digest="other", fit_seconds=1000.0, wall_seconds=1007.0)
    threaded = replace(RUN, threads=8, fit_seconds=1.0, wall_seconds=8.0)
    found = estimated([slow, threaded, RUN])
    assert found is not None
    assert (found.seconds.middle, found.basis) == (17.0, "1 cell with these fields")


def test_computing_metrics_alone_takes_no_fit() -> None:
    found = estimated(runs_of(10.0, 10.0, 10.0), evaluate_only=True)
    assert found is not None
    assert found.seconds.middle == pytest.approx(RUN.evaluate_seconds + 1.0)


def test_memory_grows_with_images_and_never_shrinks() -> None:
    more, fewer = estimated([RUN], train=300), estimated([RUN], train=10)
    assert more is not None
    assert fewer is not None
    assert (more.rss_mb.low, more.rss_mb.high) == (800.0, 2400.0)
    assert fewer.rss_mb.high == 800.0
    assert more.vram_mb.high == 0


def test_a_backbone_is_known_by_weights_layers_device_and_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def planned(known: Embedding) -> tuple[Interval | None, int]:
        job = EmbeddingJob("parts", "desc", ("a",), View(64, 64), {"x.png": None, "y.png": None})  # type: ignore[dict-item]
        monkeypatch.setattr(forecast, "jobs", lambda cells: [job])
        found = forecast.forecast([], {}, Settings(), Rates(embeddings=[known])).embeddings[0]
        return found.seconds, found.measurements

    monkeypatch.setattr(forecast, "missing_images", lambda job, settings: (frozenset(job.images), "w"))
    here = replace(PASS, view=str(View(64, 64)), torch=package_versions()["torch"])
    seconds, count = planned(here)
    assert seconds is not None
    assert (seconds.middle, count) == (2 * 0.05, 1)
    assert seconds.low < 2 * 0.05 < seconds.high
    for name in ("backbone", "weights_digest", "layers", "view", "device", "torch"):
        assert planned(replace(here, **{name: ["b"] if name == "layers" else "x"})) == (None, 0)


def stored(status: Status = Status.OK) -> StoredCell:
    split = split_record("synthetic", "pareto", 1, ("bolt", "nut"), "paper")
    return StoredCell(Path("nowhere"), record_of(METHODS[1], split, status, "", "paper"))


def test_a_finished_cell_is_noted_with_its_numbers_of_images(tmp_path: Path) -> None:
    assert rates.cell_run(stored(Status.ERROR), 30.0) is None
    cell = StoredCell(tmp_path, stored().content)
    (tmp_path / "maps.npy").write_bytes(b"12345")
    noted = rates.cell_run(cell, 30.0)
    assert noted is not None
    assert (noted.method, noted.fit_seconds, noted.peak_rss_mb) == ("patchcore", 21.4, 812.0)
    assert (noted.wall_seconds, noted.stored_bytes) == (30.0, 5)
    split = cell.content["split"]["categories"]
    assert noted.test_images == sum(row["n_test_good"] + row["n_test_defects"] for row in split)
    assert noted.train_images == sum(row["n_train_good"] + row["n_train_defects"] for row in split)
    rates.note(tmp_path, [noted, PASS])
    assert rates.load(tmp_path) == Rates([noted], [PASS])


def test_a_half_line_or_one_that_lacks_a_field_is_passed_over(tmp_path: Path) -> None:
    rates.note(tmp_path, [RUN])
    (file,) = (tmp_path / "rates").iterdir()
    whole = json.loads(file.read_text())
    newer = json.dumps({**whole, "fit_seconds": 2.0, "unheard_of": 1})
    older = json.dumps({"kind": "cell", "method": "patchcore"})
    file.write_text(file.read_text() + newer + "\n" + older + "\n[1]\n" + json.dumps(whole)[:40])
    assert [run.fit_seconds for run in rates.load(tmp_path).cells] == [10.0, 2.0]


def test_notes_that_cannot_be_written_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "rates").write_text("in the way")
    rates.note(tmp_path, [RUN])
    assert rates.load(tmp_path) == Rates([], [])


def test_old_notes_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_BYTES", 2000)
    monkeypatch.setattr(rates, "KEPT_LINES", 3)
    for number in range(20):
        rates.note(tmp_path, [replace(RUN, fit_seconds=float(number))])
    kept = [run.fit_seconds for run in rates.load(tmp_path).cells]
    assert kept[-1] == 19.0
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
