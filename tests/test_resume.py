"""What a second run does: no more than what a change makes necessary, and it is written down."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from split_trees import mvtec_style_class
from test_run import VIEW, chance, silent

from ltbench.benchmark import rates
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.engines import Options
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.forecast import forecast
from ltbench.benchmark.journal import JOURNAL_FILE
from ltbench.benchmark.retry import parse_retry
from ltbench.benchmark.run import Outcome, plan, run
from ltbench.benchmark.settings import Settings
from ltbench.results.files import write_json
from ltbench.results.runs import runs
from ltbench.results.status import Status
from ltbench.results.store import RECORD, StoredCell

FAILURES = ("error", "killed", "oom", "timeout")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "parts"
    for name in ("bolt", "nut"):
        mvtec_style_class(root, name, train=4, good=3, bad=3)
    return root


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", results=tmp_path / "runs", jobs=1)


def run_all(cells: list[Cell], settings: Settings, retry: str = "failed", **options: bool) -> Outcome:
    planned = plan(cells, settings).cells
    return run(planned, settings, Options(**options), silent, retry=parse_retry(retry))


def states(cells: list[Cell], settings: Settings, retry: str = "failed", *, force: bool = False) -> list[str]:
    again = parse_retry(retry)
    return [entry.state(force=force, retry=again) for entry in plan(cells, settings).cells]


def fail(cell: StoredCell, status: str) -> None:
    """Make a stored cell one that ended otherwise."""
    write_json(cell.folder / RECORD, {**cell.content, "status": status, "error": "as told"})


def fitted_at(cell: StoredCell) -> tuple[str, int]:
    return cell.content["timing"]["finished_at"], (
        Path(str(cell.folder)) / "scores.parquet"
    ).stat().st_mtime_ns


def as_if_measured_before(cell: StoredCell, metric: str) -> None:
    """Give a metric of a stored cell the recipe of an older version."""
    metrics = {name: dict(fact) for name, fact in cell.content["metrics"].items()}
    metrics[metric]["recipe"] = "by an older rule"
    write_json(cell.folder / RECORD, {**cell.content, "metrics": metrics})


def test_a_new_metric_recipe_alone_computes_values_from_kept_maps_without_a_fit(
    tree: Path, settings: Settings
) -> None:
    first = run_all([chance(tree)], settings).cells[0]
    values = first.metrics()["value"]
    before = fitted_at(first)
    as_if_measured_before(first, "aupro")
    assert states([chance(tree)], settings) == ["recompute"]
    again = run_all([chance(tree)], settings).cells[0]
    assert fitted_at(again) == before
    assert again.content["metrics"] == first.content["metrics"]
    assert again.metrics()["value"].equals(values)
    assert states([chance(tree)], settings) == ["done"]


def test_without_maps_a_new_recipe_needs_the_method_again(tree: Path, settings: Settings) -> None:
    first = run_all([chance(tree)], settings, keep_maps="none").cells[0]
    before = fitted_at(first)
    as_if_measured_before(first, "image_auroc")
    assert states([chance(tree)], settings) == ["recompute"]
    as_if_measured_before(first, "aupro")
    assert states([chance(tree)], settings) == ["to run"]
    again = run_all([chance(tree)], settings).cells[0]
    assert fitted_at(again)[1] > before[1]
    assert again.metrics()["value"].equals(first.metrics()["value"])


def test_each_kind_of_failure_can_be_tried_again_alone(tree: Path, settings: Settings) -> None:
    cell = chance(tree)
    stored = run_all([cell], settings).cells[0]
    for status in FAILURES:
        fail(stored, status)
        assert states([cell], settings, "failed") == ["to run"]
        assert states([cell], settings, "none") == ["done"]
        assert states([cell], settings, status) == ["to run"]
        others = ",".join(name for name in FAILURES if name != status)
        assert states([cell], settings, others) == ["done"]
        assert states([cell], settings, "none", force=True) == ["to run"]


def test_only_what_is_missing_runs_where_failures_are_left_alone(tree: Path, settings: Settings) -> None:
    fail(run_all([chance(tree)], settings).cells[0], "error")
    outcome = run_all([chance(tree), chance(tree, seed=2)], settings, retry="none")
    assert [cell.status for cell in outcome.cells] == [Status.ERROR, Status.OK]
    assert outcome.reused == 1


def test_a_finished_cell_is_not_tried_again_and_a_missing_one_always_is(
    tree: Path, settings: Settings
) -> None:
    run_all([chance(tree)], settings)
    assert states([chance(tree), chance(tree, seed=2)], settings, "oom") == ["done", "to run"]


@pytest.mark.parametrize("text", ["", "ok", "failed,oom", "some"])
def test_what_cannot_be_tried_again_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="error, killed, oom, timeout"):
        parse_retry(text)


def test_a_journal_tells_a_cells_story_in_json_lines(tree: Path, settings: Settings) -> None:
    cell = run_all([chance(tree)], settings).cells[0]
    run_all([chance(tree)], settings, force=True)
    events = [json.loads(line) for line in (Path(str(cell.folder)) / JOURNAL_FILE).read_text().splitlines()]
    assert [event["event"] for event in events if event["event"] != "step"] == ["started", "finished"] * 2
    first, last = events[0], events[-1]
    assert first["pid"] > 0
    assert (last["status"], last["error"]) == ("ok", "")
    assert last["seconds"] > 0
    assert first["at"] < last["at"]


def test_a_failed_cells_journal_says_why(tree: Path, settings: Settings) -> None:
    (tree / "bolt" / "ground_truth" / "scratch" / "000_mask.png").write_bytes(b"no picture")
    cell = run_all([chance(tree)], settings).cells[0]
    last = json.loads((Path(str(cell.folder)) / JOURNAL_FILE).read_text().splitlines()[-1])
    assert (last["event"], last["status"]) == ("finished", "error")
    assert "000_mask.png" in last["error"]


def test_every_call_that_ran_something_leaves_a_record_of_cells_and_cache(
    tree: Path, settings: Settings
) -> None:
    cells = [
        Cell(f"folder:{tree}", "clean", seed, "padim", {"backbone": "desc"}, view=VIEW) for seed in (1, 2)
    ]
    outcome = run_all(cells, settings)
    run_all(cells, settings)
    (call,) = runs(settings.results)
    assert (call["asked"], call["statuses"], len(call["cells"])) == (2, {"ok": 2}, 2)
    # Images of one content may meet within a batch; what lies there already is not embedded again.
    distinct = len(list((settings.home / "features").glob("*/*/*.npy")))
    (embedded,) = call["embedded"]
    assert (embedded["backbone"], embedded["images"]) == ("desc", 20)
    assert embedded["cache"]["misses"] + embedded["cache"]["hits"] == 20
    assert distinct <= embedded["cache"]["misses"] < 20
    for cell in outcome.cells:
        assert (cell.content["cache"]["hits"], cell.content["cache"]["misses"]) == (20, 0)
    assert call["cache"] == {
        name: embedded["cache"][name] + sum(cell.content["cache"][name] for cell in outcome.cells)
        for name in embedded["cache"]
    }
    assert call["cache"]["bytes_read"] > 0


def test_a_damaged_feature_is_rebuilt_and_counted(tree: Path, settings: Settings) -> None:
    cell = Cell(f"folder:{tree}", "clean", 1, "padim", {"backbone": "desc"}, view=VIEW)
    first = run_all([cell], settings).cells[0]
    record = next((settings.home / "features").glob("*/*/*.npy"))
    record.write_bytes(record.read_bytes()[:-9])
    again = run_all([cell], settings, force=True).cells[0]
    latest = list(runs(settings.results))[-1]
    assert (latest["cache"]["rebuilt"], latest["cache"]["misses"]) == (1, 1)
    np.testing.assert_array_equal(first.scores()["score"], again.scores()["score"])


def test_a_run_teaches_the_next_plan(tree: Path, settings: Settings) -> None:
    cells = [Cell(f"folder:{tree}", "clean", s, "padim", {"backbone": "desc"}, view=VIEW) for s in (1, 2)]
    planned = plan(cells, settings).cells
    nothing = forecast(planned, {0: False, 1: False}, settings, rates.load(settings.home))
    assert nothing.unknown == {"padim on desc": 2}
    assert nothing.unknown_backbones == ["desc"]
    assert len(nothing.embeddings[0].missing) == 20
    assert nothing.cached == frozenset()
    run_all(cells[:1], settings)
    planned = plan(cells, settings).cells
    known = forecast(planned, {1: False}, settings, rates.load(settings.home))
    assert (known.unknown, known.unknown_backbones, known.cached) == ({}, [], {1})
    assert known.embeddings[0].missing == frozenset()
    assert 0 < known.wall.low < known.wall.middle < known.wall.high
    assert known.stored_bytes.middle > 0
