"""A cell's folder is whole or counts as absent; folders of several machines become one."""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_records import METHODS, record_of, split_record

from ltbench.benchmark.commands.results import diff
from ltbench.results.diff import difference
from ltbench.results.errors import ResultsDiffer, ResultsError
from ltbench.results.files import write_json
from ltbench.results.merge import merge
from ltbench.results.places import Place
from ltbench.results.schema import METRICS, SCHEMA_VERSION, SCORES, table
from ltbench.results.status import Status
from ltbench.results.store import METRICS_FILE, RECORD, SCORES_FILE, Store, StoredCell, slug
from ltbench.results.writer import CellWriter

METHOD = METHODS[1]


def record(seed: int = 1, status: str = "ok") -> dict[str, Any]:
    return record_of(METHOD, split_record("d", "s", seed, ("bolt",), "paper"), Status(status), "", "paper")


IDENTITY = {
    name: record()["identity"][name] for name in ("dataset", "split", "seed", "method", "config_digest")
}


def write_cell(root: Place, value: float | None = 0.9, *, seed: int = 1, status: str = "ok") -> StoredCell:
    content = record(seed, status)
    folder = Store(root).folder("d", "s", seed, METHOD.name, METHOD.config_digest)
    writer = CellWriter(folder, content)
    row = {
        **IDENTITY,
        "seed": seed,
        "category": "bolt",
        "metric": "image_auroc",
        "value": value,
        "status": status,
    }
    writer.write_table(METRICS_FILE, table([row], METRICS))
    scores = [{"key": "k", "category": "bolt", "defect": "", "label": False, "injected": False, "score": 0.5}]
    writer.write_table(SCORES_FILE, table(scores, SCORES))
    writer.write_gallery({"k": np.ones((2, 2), np.float32)})
    return writer.finish(content)


def test_a_finished_cell_comes_back_as_written(tmp_path: Path) -> None:
    written = write_cell(tmp_path)
    found = Store(tmp_path).find(written.folder)
    assert found is not None
    assert found.content["identity"] == record()["identity"]
    assert found.metrics()["value"].tolist() == [0.9]
    assert found.scores()["score"].tolist() == [0.5]
    assert found.gallery()["k"].shape == (2, 2)
    assert found.grids() is None
    assert Store(tmp_path).unfinished() == []


def test_a_started_cell_is_listed_as_unfinished_and_not_found(tmp_path: Path) -> None:
    folder = Store(tmp_path).folder("d", "s", 1, METHOD.name, METHOD.config_digest)
    CellWriter(folder, record())
    assert Store(tmp_path).unfinished() == [folder]
    assert Store(tmp_path).find(folder) is None


@pytest.mark.parametrize("name", [METRICS_FILE, SCORES_FILE, RECORD])
def test_a_truncated_file_makes_the_cell_absent(tmp_path: Path, name: str) -> None:
    cell = write_cell(tmp_path)
    path = cell.folder / name
    path.write_bytes(path.read_bytes()[:-7])
    assert Store(tmp_path).find(cell.folder) is None


def test_starting_again_removes_the_old_record_first(tmp_path: Path) -> None:
    cell = write_cell(tmp_path)
    CellWriter(cell.folder, record())
    assert Store(tmp_path).find(cell.folder) is None
    assert not (cell.folder / METRICS_FILE).exists()


def test_results_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    cell = write_cell(tmp_path)
    record = json.loads((cell.folder / RECORD).read_text())
    write_json(cell.folder / RECORD, {**record, "schema_version": SCHEMA_VERSION + 1})
    with pytest.raises(ResultsError, match="update ltbench"):
        list(Store(tmp_path).cells())


def test_a_column_that_an_older_version_did_not_have_is_null(tmp_path: Path) -> None:
    cell = write_cell(tmp_path)
    import pyarrow.parquet as pq

    whole = pq.read_table(cell.folder / METRICS_FILE)
    pq.write_table(whole.drop_columns(["peak_vram_mb"]), cell.folder / METRICS_FILE)
    assert cell.metrics()["peak_vram_mb"].isna().all()


def test_unknown_columns_are_refused_by_name() -> None:
    with pytest.raises(ResultsError, match="colour"):
        table([{"colour": 1}], METRICS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(ResultsError, match="cannot write"):
        write_cell(tmp_path / "x")


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(ResultsError, match=r"cannot write .*choose a folder"):
        write_cell(tmp_path / "runs")


def test_nan_is_never_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_merge_copies_upgrades_and_keeps(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write_cell(here, None, status="error")
    write_cell(here, seed=2)
    write_cell(there, 0.9)
    write_cell(there, seed=2)
    write_cell(there, seed=3)
    done = merge([there], here)
    assert (done.copied, done.upgraded, done.already_there) == (1, 1, 1)
    assert [cell.status for cell in Store(here).cells()] == ["ok", "ok", "ok"]


def test_merge_refuses_other_values_and_changes_nothing(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write_cell(here, 0.9)
    write_cell(there, 0.8)
    write_cell(there, 0.7, seed=2)
    with pytest.raises(ResultsDiffer, match=r"image_auroc of bolt is 0\.900000 and 0\.800000"):
        merge([there], here)
    assert len(list(Store(here).cells())) == 1


def test_diff_counts_pairs_and_finds_what_moved(tmp_path: Path) -> None:
    for seed in (1, 2, 3, 4, 5, 6):
        write_cell(tmp_path / "a", 0.5, seed=seed)
        write_cell(tmp_path / "b", 0.6 if seed < 6 else 0.5, seed=seed)
    found = difference(tmp_path / "a", tmp_path / "b", 1e-9)
    assert (found.compared, len(found.rows)) == (6, 5)
    moved = found.moved.iloc[0]
    assert moved["pairs"] == 6
    # Five ups, no down: 2 * (1/2)^5.
    assert moved["p"] == pytest.approx(0.0625)
    with pytest.raises(ResultsDiffer, match="5 of 6"):
        found.require_equal()


def test_diff_of_equal_folders_is_empty(tmp_path: Path) -> None:
    write_cell(tmp_path / "a")
    write_cell(tmp_path / "b")
    found = difference(tmp_path / "a", tmp_path / "b", 0.0)
    found.require_equal()
    assert found.rows.empty


def test_diff_does_not_call_rounding_a_movement(tmp_path: Path) -> None:
    for seed in range(1, 9):
        write_cell(tmp_path / "a", 0.5, seed=seed)
        write_cell(tmp_path / "b", 0.5 + 1e-13, seed=seed)
    found = difference(tmp_path / "a", tmp_path / "b", 1e-9)
    assert found.moved.empty
    assert found.sentences() == ["8 values compared, 0 differ"]


def test_diff_says_which_values_one_side_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cell(tmp_path / "a", seed=1)
    write_cell(tmp_path / "a", seed=2)
    write_cell(tmp_path / "b", seed=1)
    with pytest.raises(ResultsDiffer):
        diff(str(tmp_path / "a"), str(tmp_path / "b"), as_json=True)
    (row,) = json.loads(capsys.readouterr().out)["differences"]
    assert (row["seed"], row["value_b"], row["difference"]) == (2, None, None)
    with pytest.raises(ResultsDiffer):
        diff(str(tmp_path / "a"), str(tmp_path / "b"))
    assert "only in a" in capsys.readouterr().out


def test_different_names_have_different_folders() -> None:
    names = ["folder:my parts", "folder:my-parts", "folder:螺栓", "folder:螺母", "folder:a:b", "folder:a-b"]
    assert len({slug(name) for name in names}) == len(names)
    assert slug("folder:my-parts") == "folder-my-parts"
    assert slug("mvtec:bottle+screw") == "mvtec-bottle+screw"
    assert slug("folder:" + unicodedata.normalize("NFD", "schräg")) == slug("folder:schräg")
