"""From a name to a stored result: what is written, reused and done again, and what faults leave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from split_trees import mvtec_style_class

from ltbench.benchmark.cell import Cell
from ltbench.benchmark.engines import Options
from ltbench.benchmark.errors import CellsImpossible, UsageError
from ltbench.benchmark.kept_maps import are_kept
from ltbench.benchmark.recompute import recompute
from ltbench.benchmark.resolve import Resolver
from ltbench.benchmark.retry import parse_retry
from ltbench.benchmark.run import Outcome, plan, run
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import View
from ltbench.methods.errors import WeightsMissing
from ltbench.results.status import Status
from ltbench.results.store import RECORD, Store
from ltbench.splits.errors import SplitsError

VIEW = View(32, 32)


class Silent:
    """A watcher that remembers titles."""

    def __init__(self) -> None:
        self.seen: list[Status] = []

    def started(self, index: int) -> None: ...

    def progressed(self, index: int, stage: str, done: int, total: int) -> None: ...

    def finished(self, index: int, status: Status, error: str) -> None:
        self.seen.append(status)


@contextmanager
def silent(titles: Sequence[str], done_before: int) -> Iterator[Silent]:
    yield Silent()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "parts"
    mvtec_style_class(root, "bolt", train=4, good=3, bad=3)
    mvtec_style_class(root, "nut", train=4, good=3, bad=3, suffix=None)
    return root


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", results=tmp_path / "runs", jobs=1)


def chance(tree: Path, seed: int = 1, split: str = "clean", **fields: object) -> Cell:
    return Cell(f"folder:{tree}", split, seed, "chance", fields, view=VIEW)


def run_all(cells: Sequence[Cell], settings: Settings, **options: bool) -> Outcome:
    return run(plan(cells, settings).cells, settings, Options(**options), silent)


def test_a_cell_writes_rows_scores_and_provenance(tree: Path, settings: Settings) -> None:
    outcome = run_all([chance(tree)], settings, keep_maps="all")
    (cell,) = outcome.cells
    assert (cell.status, outcome.reused, outcome.failed) == (Status.OK, 0, [])
    rows = cell.metrics()
    assert set(rows["category"]) == {"bolt", "nut"}
    assert set(rows["n_test_defects"]) == {3}
    assert rows["value"].notna().sum() + rows["why"].str.len().gt(0).sum() == len(rows)
    scores = cell.scores()
    assert scores["key"].is_monotonic_increasing
    assert len(scores) == 12
    grids = cell.grids()
    assert grids is not None
    np.testing.assert_array_equal(grids.max(axis=(1, 2)), scores["score"].to_numpy())
    for name in ("command", "environment", "split", "dataset", "method", "timing", "metrics"):
        assert cell.content[name], name
    assert cell.content["split"]["digest"] == rows["split_digest"].iloc[0]
    assert (cell.folder / "log.txt").exists()


def test_a_class_without_masks_has_holes_with_a_reason(tree: Path, settings: Settings) -> None:
    rows = run_all([chance(tree)], settings).cells[0].metrics().set_index(["category", "metric"])
    assert np.isnan(rows.loc[("nut", "pixel_auroc"), "value"])
    assert "3 of 3 defective images have no mask" in rows.loc[("nut", "aupro"), "why"]
    assert 0 <= rows.loc[("bolt", "aupro"), "value"] <= 1


def test_the_same_command_returns_the_stored_cell(tree: Path, settings: Settings) -> None:
    first = run_all([chance(tree)], settings)
    written = (first.cells[0].folder / RECORD).stat().st_mtime_ns
    second = run_all([chance(tree)], settings)
    assert (second.reused, len(second.cells)) == (1, 1)
    assert (second.cells[0].folder / RECORD).stat().st_mtime_ns == written


def test_same_cell_same_numbers_wherever_it_runs(tree: Path, settings: Settings, tmp_path: Path) -> None:
    there = Settings(home=tmp_path / "other", results=tmp_path / "elsewhere", jobs=2)
    here = run_all([chance(tree)], settings).cells[0]
    other = run_all([chance(tree, seed=2), chance(tree)], there).cells[1]
    np.testing.assert_array_equal(here.scores()["score"], other.scores()["score"])


def test_force_runs_again(tree: Path, settings: Settings) -> None:
    first = run_all([chance(tree)], settings).cells[0].content["timing"]["finished_at"]
    again = run_all([chance(tree)], settings, force=True)
    assert again.reused == 0
    assert again.cells[0].content["timing"]["finished_at"] >= first


def test_changed_pixels_make_it_another_question(tree: Path, settings: Settings) -> None:
    before = run_all([chance(tree)], settings).cells[0]
    Image.new("RGB", (16, 16), (1, 2, 3)).save(tree / "bolt" / "test" / "good" / "000.png")
    with pytest.raises(UsageError, match="a result of other images"):
        run_all([chance(tree)], settings)
    assert before.damage() == ""
    after = run_all([chance(tree)], settings, force=True)
    assert after.reused == 0
    assert after.cells[0].content["dataset"]["digest"] != before.content["dataset"]["digest"]


def test_two_folders_of_one_name_do_not_take_each_others_place(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", results=tmp_path / "runs", jobs=1)
    trees = [tmp_path / site / "parts" for site in ("north", "south")]
    for level, tree in enumerate(trees):
        mvtec_style_class(tree, "bolt", train=4 + level)
    (first,) = run_all([chance(trees[0])], settings).cells
    with pytest.raises(UsageError, match="the folder another name"):
        run_all([chance(trees[1])], settings)
    assert Store(settings.results).find(first.folder) is not None


def test_however_a_data_set_is_typed_its_numbers_are_the_same(tree: Path, tmp_path: Path) -> None:
    """Two paths to one folder are one identity, so they must be one result."""
    (tmp_path / "link").symlink_to(tree.parent)
    cells = []
    for number, path in enumerate((tree, tmp_path / "link" / tree.name)):
        settings = Settings(home=tmp_path / "home", results=tmp_path / f"runs{number}", jobs=1)
        cells += run_all([chance(path)], settings).cells
    assert cells[0].content["identity"] == cells[1].content["identity"]
    assert cells[0].metrics()["value"].equals(cells[1].metrics()["value"])


def test_a_device_that_is_not_there_is_said_before_anything_starts(tree: Path, settings: Settings) -> None:
    with pytest.raises(UsageError, match="device 'nonsense' cannot be used here"):
        run_all([chance(tree, grid=9)], replace(settings, device="nonsense"))


def test_other_fields_get_another_folder(tree: Path, settings: Settings) -> None:
    cells = run_all([chance(tree), chance(tree, grid=7)], settings).cells
    assert cells[0].folder != cells[1].folder
    assert cells[0].folder.parent == cells[1].folder.parent


def test_an_unreadable_image_is_a_failed_row_and_the_rest_goes_on(tree: Path, settings: Settings) -> None:
    (tree / "bolt" / "train" / "good" / "001.png").write_bytes(b"no picture")
    looks = Cell(f"folder:{tree}", "clean", 1, "patchcore", {"backbone": "desc"}, view=VIEW)
    outcome = run_all([looks, chance(tree)], settings)
    assert [cell.status for cell in outcome.cells] == [Status.ERROR, Status.OK]
    failed = outcome.failed[0]
    assert "bolt/train/good/001.png" in failed.content["error"]
    rows = failed.metrics()
    assert rows["value"].isna().all()
    assert set(rows["status"]) == {"error"}
    assert set(rows["category"]) == {"bolt", "nut"}


def test_a_mask_of_another_size_is_named(tree: Path, settings: Settings) -> None:
    Image.new("L", (8, 8), 255).save(tree / "bolt" / "ground_truth" / "scratch" / "000_mask.png")
    outcome = run_all([chance(tree)], settings)
    assert outcome.cells[0].status is Status.ERROR
    assert "000_mask.png" in outcome.cells[0].content["error"]


def test_a_failed_cell_is_tried_again_unless_told_not_to(tree: Path, settings: Settings) -> None:
    broken = tree / "bolt" / "ground_truth" / "scratch" / "000_mask.png"
    whole = broken.read_bytes()
    Image.new("L", (8, 8), 255).save(broken)
    run_all([chance(tree)], settings)
    kept = run(plan([chance(tree)], settings).cells, settings, Options(), silent, retry=parse_retry("none"))
    assert (kept.reused, kept.cells[0].status) == (1, Status.ERROR)
    broken.write_bytes(whole)
    assert run_all([chance(tree)], settings).cells[0].status is Status.OK


def test_a_damaged_result_is_run_again(tree: Path, settings: Settings) -> None:
    cell = run_all([chance(tree)], settings).cells[0]
    whole = cell.metrics()
    (cell.folder / "metrics.parquet").write_bytes(b"PAR1")
    again = run_all([chance(tree)], settings)
    assert again.reused == 0
    assert again.cells[0].metrics()["value"].equals(whole["value"])


def test_recomputing_kept_maps_gives_the_same_bits(tree: Path, settings: Settings) -> None:
    cell = run_all([chance(tree)], settings, keep_maps="all").cells[0]
    before = cell.metrics()
    again = recompute(cell, settings)
    assert (again.changed, again.why_not) == (0, "")
    found = Store(settings.results).find(cell.folder)
    assert found is not None
    assert found.metrics()["value"].equals(before["value"])


def test_recomputing_without_maps_leaves_the_cell_alone(tree: Path, settings: Settings) -> None:
    cell = run_all([chance(tree)], settings, keep_maps="none").cells[0]
    again = recompute(cell, settings)
    assert "--keep-maps" in again.why_not
    assert Store(settings.results).find(cell.folder) is not None


def test_limits_are_named_in_the_split(tree: Path, settings: Settings) -> None:
    limited = Cell(f"folder:{tree}", "clean", 1, "chance", {}, view=VIEW, limit=2)
    cell = run_all([limited], settings).cells[0]
    assert cell.content["split"]["recipe"] == "clean-limit2"
    assert {row["n_train_good"] for row in cell.content["split"]["categories"]} == {2}
    assert "smoke test" in " ".join(cell.content["split"]["notes"])


def test_a_cell_without_its_weights_does_not_stop_the_others(tree: Path, settings: Settings) -> None:
    absent = Cell(f"folder:{tree}", "clean", 1, "patchcore", {"backbone": "timm:resnet18@absent.safetensors"})
    planned = plan([chance(tree), absent], settings)
    assert [entry.prepared.cell.method for entry in planned.cells] == ["chance"]
    with pytest.raises(CellsImpossible, match=r"1 of 2 cells could not start: .*absent\.safetensors"):
        planned.require_all()
    with pytest.raises(WeightsMissing):
        plan([absent], settings)


def test_an_empty_class_is_named_before_anything_runs(tree: Path, settings: Settings) -> None:
    for path in (tree / "nut" / "train" / "good").iterdir():
        path.unlink()
    with pytest.raises(SplitsError, match="nut"):
        Resolver(settings).prepare(chance(tree))


def test_the_command_in_the_record_makes_the_same_cell(tree: Path, settings: Settings) -> None:
    cell = run_all([chance(tree, grid=7)], settings).cells[0]
    assert cell.content["command"] == (
        f"ltbench run --method chance --dataset folder:{tree} --split clean --seed 1 "
        "--set grid=7 --view 32/32"
    )


def test_records_are_plain_json_for_other_languages(tree: Path, settings: Settings) -> None:
    cell = run_all([chance(tree)], settings).cells[0]

    def refuse(token: str) -> None:
        raise AssertionError(token)

    json.loads((cell.folder / RECORD).read_text(), parse_constant=refuse)
    assert Store(settings.results).unfinished() == []


def test_only_small_grids_are_kept_unless_asked_for() -> None:
    assert [are_kept((1000, side, side), "small") for side in (14, 64, 65)] == [True, True, False]
    assert are_kept((1000, 256, 256), "all")
    assert not are_kept((1000, 14, 14), "none")
