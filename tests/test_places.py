"""A folder behind a URL has the manners of a folder on this machine, and a cell in it is whole or absent."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from remote_roots import in_memory, new_bucket
from test_store import IDENTITY, record, write_cell

from ltbench.home_folders import UnknownHome
from ltbench.results.errors import ResultsDiffer, ResultsError
from ltbench.results.files import read_json, write_bytes, write_json
from ltbench.results.merge import merge
from ltbench.results.places import Place, RemotePath, below, local_side, matches, modified, place, readable
from ltbench.results.schema import METRICS, SCORES, table
from ltbench.results.store import MAPS_FILE, METRICS_FILE, RECORD, SCORES_FILE, STARTED, Store
from ltbench.results.writer import CellWriter


@pytest.fixture(params=["s3", "memory", "local"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "s3":
        return place(new_bucket(request.getfixturevalue("s3_variables")))
    return in_memory() if request.param == "memory" else tmp_path / "runs"


@pytest.fixture(params=["s3", "memory"])
def remote(request: pytest.FixtureRequest) -> RemotePath:
    found = (
        place(new_bucket(request.getfixturevalue("s3_variables"))) if request.param == "s3" else in_memory()
    )
    assert isinstance(found, RemotePath)
    return found


def test_what_is_put_is_found_listed_and_removed(root: Place) -> None:
    for name in ("a/b/one.json", "a/b/two.json", "a/c/one.json", "a/b/deep/er/one.json", "top.txt"):
        write_bytes(root / name, name.encode())
    assert [below(path, root) for path in matches(root, "*/*/one.json")] == ["a/b/one.json", "a/c/one.json"]
    assert [below(path, root) for path in matches(root, "a/b/*.json")] == ["a/b/one.json", "a/b/two.json"]
    assert matches(root / "nowhere", "*") == []
    one = root / "a" / "b" / "one.json"
    assert (one.name, one.parent.name, one.exists(), one.is_dir()) == ("one.json", "b", True, False)
    assert (root / "a").is_dir()
    assert one.read_bytes() == b"a/b/one.json"
    with one.open("rb") as file:
        assert file.read(3) == b"a/b"
    one.unlink()
    one.unlink(missing_ok=True)
    assert not one.exists()
    with pytest.raises(FileNotFoundError):
        one.read_bytes()
    with pytest.raises(FileNotFoundError):
        one.unlink()


def test_a_second_writer_replaces_the_whole(root: Place) -> None:
    for text in ("first, and longer", "second"):
        write_bytes(root / "x", text.encode())
    assert (root / "x").read_bytes() == b"second"
    assert modified(root / "x") == 0 or modified(root / "x") > 1e9


def test_files_larger_than_one_request_come_back_whole(remote: RemotePath) -> None:
    content = np.random.default_rng(0).bytes(12_000_000)
    (remote / "large").write_bytes(content)
    assert (remote / "large").read_bytes() == content


def test_a_path_behind_a_url_travels_to_other_processes(remote: RemotePath) -> None:
    again = pickle.loads(pickle.dumps(remote / "a"))
    assert (again, str(again), hash(again)) == (remote / "a", f"{remote}/a", hash(remote / "a"))
    assert str(remote).startswith(("s3://", "memory://"))
    assert str(remote).endswith("/runs")


def test_local_names_stay_paths() -> None:
    assert place("runs") == Path("runs")
    assert place("~/runs") == Path.home() / "runs"
    with pytest.raises(UnknownHome, match="a user that is not known here"):
        place("~no-such-user/runs")
    assert place("file:///data/my%20runs") == Path("/data/my runs")
    assert place(Path("runs")) == Path("runs")
    assert place("c:runs") == Path("c:runs")


def test_what_must_be_local_has_a_folder_per_url(remote: RemotePath, tmp_path: Path) -> None:
    assert local_side(Path("runs"), tmp_path) == Path("runs")
    sides = {local_side(path, tmp_path) for path in (remote, remote / "a", in_memory())}
    assert len(sides) == 3
    assert all(side.is_relative_to(tmp_path) for side in sides)


def test_options_and_credentials_are_not_shown() -> None:
    shown = str(
        place("s3://me:secret@bucket/runs?region=eu-central-1&endpoint_override=127.0.0.1:9&scheme=http")
    )
    assert shown == "s3://bucket/runs"


@pytest.mark.parametrize("url", ["nonsense://x/y", "s3://"])
def test_a_url_that_leads_nowhere_is_one_sentence(url: str) -> None:
    with pytest.raises(ResultsError, match=r"cannot open|needs|names no bucket"):
        place(url)


def test_a_bucket_that_is_not_there_is_one_sentence(s3_variables: dict[str, str]) -> None:
    with pytest.raises(ResultsError, match=r"cannot write 's3://no-such-bucket-here/runs/x.*choose a folder"):
        write_json(place("s3://no-such-bucket-here/runs") / "x.json", {})


def test_a_cell_comes_back_as_written(root: Place) -> None:
    written = write_cell(root)
    found = Store(root).find(written.folder)
    assert found is not None
    assert found.content["identity"] == record()["identity"]
    assert found.metrics()["value"].tolist() == [0.9]
    assert found.gallery()["k"].tolist() == [[1, 1], [1, 1]]
    assert found.grids() is None
    assert [cell.folder for cell in Store(root).cells()] == [written.folder]
    assert Store(root).unfinished() == []
    assert Store(root).asked(below(written.folder, root)) is not None
    assert Store(root).metrics()["value"].tolist() == [0.9]
    Store(root).remove(written)
    assert list(Store(root).cells()) == []


@pytest.mark.parametrize("name", [METRICS_FILE, SCORES_FILE, RECORD])
def test_a_truncated_object_makes_the_cell_absent(remote: RemotePath, name: str) -> None:
    cell = write_cell(remote)
    assert isinstance(cell.folder, RemotePath)
    (cell.folder / name).write_bytes((cell.folder / name).read_bytes()[:-7])
    assert Store(remote).find(cell.folder) is None


def test_kept_maps_are_read_and_an_older_cells_maps_do_not_stay(root: Place) -> None:
    folder = Store(root).folder("d", "s", 1, "m", "c" * 64)
    grids = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    for keep in (True, False):
        writer = CellWriter(folder, {})
        if keep:
            writer.write_array(MAPS_FILE, grids)
        cell = writer.finish({"identity": IDENTITY, "status": "ok"})
        found = cell.grids()
        assert (found is not None and np.array_equal(found, grids)) is keep


def test_a_driver_that_starts_later_takes_nothing_from_one_that_has_finished(remote: RemotePath) -> None:
    cell = write_cell(remote)
    late = CellWriter(cell.folder, {"identity": IDENTITY})
    assert Store(remote).find(cell.folder) is not None
    rows = [{**IDENTITY, "category": "bolt", "metric": "image_auroc", "value": 0.9, "status": "ok"}]
    late.write_table(METRICS_FILE, table(rows, METRICS))
    # Killed here: nothing of it has been put.
    found = Store(remote).find(cell.folder)
    assert found is not None
    assert pq.ParquetFile(readable(cell.folder / SCORES_FILE)).read().num_rows == 1
    assert (cell.folder / STARTED).exists()
    assert Store(remote).unfinished() == []


def test_drivers_that_finish_one_cell_at_once_leave_one_whole_cell(remote: RemotePath) -> None:
    folder = Store(remote).folder("d", "s", 1, "m", "c" * 64)
    start = threading.Barrier(4)
    errors: list[BaseException] = []

    def finish(number: int) -> None:
        try:
            writer = CellWriter(folder, {"identity": IDENTITY})
            row = {**IDENTITY, "category": "bolt", "metric": "image_auroc", "value": 0.9, "status": "ok"}
            writer.write_table(METRICS_FILE, table([{**row, "fit_seconds": float(number)}], METRICS))
            score = {"key": "k", "category": "bolt", "defect": "", "label": False, "injected": False}
            writer.write_table(SCORES_FILE, table([{**score, "score": 0.5}], SCORES))
            start.wait()
            writer.finish({"identity": IDENTITY, "status": "ok", "timing": {"fit_seconds": number}})
        except BaseException as error:  # noqa: BLE001  told to the test below
            errors.append(error)

    threads = [threading.Thread(target=finish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = Store(remote).find(folder)
    assert found is not None
    # Record and rows are of one and the same writer.
    assert found.metrics()["fit_seconds"].tolist() == [found.content["timing"]["fit_seconds"]]
    assert not (folder / STARTED).exists()


def test_a_cell_that_another_driver_is_just_putting_is_waited_for(remote: RemotePath) -> None:
    cell = write_cell(remote)
    whole = (cell.folder / SCORES_FILE).read_bytes()
    (cell.folder / SCORES_FILE).write_bytes(b"of another writer, whose record comes last")
    assert Store(remote).find(cell.folder) is None
    late = threading.Timer(0.3, (cell.folder / SCORES_FILE).write_bytes, [whole])
    late.start()
    found = Store(remote).settled(cell.folder)
    late.join()
    assert found is not None
    assert found.content == cell.content


@pytest.mark.parametrize("way", ["to the url", "from the url"])
def test_merge_goes_both_ways(remote: RemotePath, tmp_path: Path, way: str) -> None:
    there: Place = remote if way == "from the url" else tmp_path / "there"
    here: Place = tmp_path / "here" if way == "from the url" else remote
    write_cell(there)
    write_cell(there, seed=2)
    write_json(there / "suites" / "demo.json", {"name": "demo"})
    write_cell(here, seed=2)
    done = merge([there], here)
    assert (done.copied, done.already_there) == (1, 1)
    assert all(not cell.damage() for cell in Store(here).cells())
    assert read_json(here / "suites" / "demo.json") == {"name": "demo"}
    write_cell(there, 0.8)
    with pytest.raises(ResultsDiffer, match="image_auroc of bolt"):
        merge([there], here)


def test_records_stay_plain_json(remote: RemotePath) -> None:
    cell = write_cell(remote)
    assert json.loads((cell.folder / RECORD).read_bytes())["files"].keys() >= {METRICS_FILE, SCORES_FILE}


def test_a_local_folder_needs_no_pyarrow_to_be_named() -> None:
    code = "from ltbench.results.places import place; place('runs'); import sys; "
    code += "sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
