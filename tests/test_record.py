"""A record is read as typed objects; records of version 1 are upgraded in one place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generated_records import METHODS, record_of, split_record

from ltbench.benchmark.cell import build_split, cell_of
from ltbench.benchmark.recompute import recompute
from ltbench.benchmark.settings import Settings
from ltbench.reports.material import read
from ltbench.results import document
from ltbench.results.errors import ResultsError
from ltbench.results.reading import checked
from ltbench.results.record import Record
from ltbench.results.schema import SCHEMA_VERSION
from ltbench.results.status import Status
from ltbench.results.store import RECORD, STARTED, Store, StoredCell, read_started
from ltbench.splits import recipes
from ltbench.splits.datasets import open_dataset
from ltbench.splits.errors import SplitsError

VERSION_1 = Path(__file__).parent / "golden_results" / "version1"


def content() -> dict[str, Any]:
    split = split_record("d", "s", 1, ("bolt",), "paper")
    found: dict[str, Any] = json.loads(json.dumps(record_of(METHODS[1], split, Status.OK, "", "paper")))
    return found


def without(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        for name in names[:-1]:
            record = record[name]
        del record[names[-1]]

    return change


def with_value(value: object, *names: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: Any) -> None:
        for name in names[:-1]:
            record = record[name]
        record[names[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("identity", "seed"), "has no value in 'identity.seed': expected a whole number"),
        (with_value("1", "identity", "seed"), "has '1' in 'identity.seed': expected a whole number"),
        (with_value(True, "cell", "seed"), "has True in 'cell.seed': expected a whole number"),
        (with_value(None, "cell", "view"), "has None in 'cell.view': expected an object"),
        (with_value("few", "cell", "limit"), "has 'few' in 'cell.limit': expected a whole number"),
        (with_value("fine", "status"), "has 'fine' in 'status': expected one of ok, error"),
        (
            with_value("x", "split", "categories", 0, "n_train_good"),
            "has 'x' in 'split.categories.0.n_train_good': expected a whole number",
        ),
        (with_value([], "metrics"), r"has \[\] in 'metrics': expected an object"),
        (with_value({}, "split", "notes"), "has {} in 'split.notes': expected a list"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_file_and_field(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    record = content()
    change(record)
    with pytest.raises(ResultsError, match=message) as caught:
        _ = StoredCell(Path("runs/x"), record).record
    assert str(caught.value).startswith("'runs/x/cell.json' has ")
    assert "run the cell again" in str(caught.value)


def test_unknown_names_are_ignored_and_kept() -> None:
    cell = StoredCell(Path("x"), {**content(), "colour": "red"})
    assert cell.record.identity.dataset == "d"
    assert cell.content["colour"] == "red"


def test_what_a_failed_cell_lacks_has_its_default() -> None:
    record = content()
    for name in ("timing", "figures", "map_post", "gallery"):
        del record[name]
    found: Record = checked(Record, record, Path("x"))
    assert (found.timing.fit_seconds, found.figures, found.gallery) == (None, {}, ())


def copied(tmp_path: Path) -> Path:
    shutil.copytree(VERSION_1, tmp_path / "runs")
    return tmp_path / "runs"


def test_records_of_version_1_are_read() -> None:
    cells = {cell.record.cell.method: cell.record for cell in Store(VERSION_1).cells()}
    chance, meds, patchcore = cells["chance"], cells["meds"], cells["patchcore"]
    assert {record.schema_version for record in cells.values()} == {SCHEMA_VERSION}
    assert (chance.cell.split, chance.cell.limit, chance.cell.overlap) == ("clean", 1, "none")
    assert (patchcore.cell.split, patchcore.cell.limit, patchcore.cell.seed) == ("step_k4_nr20", 3, 2)
    assert patchcore.cell.view.text == "squeeze32/32"
    assert patchcore.cell.fields == {"grid": "7", "backbone": "tiny"}
    assert patchcore.split.parameters == {"recipe": "step", "tail_images": 4, "noise": 0.2, "limit": 3}
    assert meds.split.parameters == {"recipe": "meds", "noise": 0.1, "noise_of": "total", "limit": 2}
    assert meds.cell.fields["host_fields"]["width"] == 16
    assert meds.method.fields["host_fields"]["learning_rate"] == 0.005
    assert meds.method.fields["host_fields"]["size"] is None


def test_a_command_of_version_1_is_the_same_cell_in_the_spelling_of_today() -> None:
    commands = {cell.record.cell.method: cell.record.cell.command() for cell in Store(VERSION_1).cells()}
    assert commands["patchcore"] == (
        "ltbench run --method patchcore --dataset synthetic --split step_k4_nr20 --seed 2 "
        "--set backbone=tiny --set grid=7 --view squeeze32/32 --limit 3"
    )
    assert "--set host.width=16 --set host.depth=1" in commands["meds"]


def test_folders_of_version_1_are_those_of_today() -> None:
    for cell in Store(VERSION_1).cells():
        same = cell.record.identity
        folder = Store(VERSION_1).folder(same.dataset, same.split, same.seed, same.method, same.config_digest)
        assert (folder, VERSION_1 / cell.record.cell.folder) == (cell.folder, cell.folder)


def test_a_cell_of_version_1_is_recomputed_to_the_same_values(tmp_path: Path) -> None:
    root = copied(tmp_path)
    (cell,) = [cell for cell in Store(root).cells() if cell.record.cell.method == "patchcore"]
    assert cell.damage() == ""
    done = recompute(cell, Settings(home=tmp_path / "home", results=root))
    assert (done.why_not, done.changed) == ("", 0)
    stored = json.loads((cell.folder / RECORD).read_text())
    assert stored["schema_version"] == SCHEMA_VERSION
    assert stored["cell"]["split"] == "step_k4_nr20"


def test_a_report_reads_version_1_beside_what_was_started_then(tmp_path: Path) -> None:
    root = copied(tmp_path)
    (cell,) = [cell for cell in Store(root).cells() if cell.record.cell.method == "meds"]
    record = json.loads((cell.folder / RECORD).read_text())
    (cell.folder / RECORD).unlink()
    # As version 1 wrote it: what was known before the run, without a number.
    known = {name: record[name] for name in ("identity", "method", "split", "dataset", "metrics", "command")}
    (cell.folder / STARTED).write_text(json.dumps(known))
    material = read(root)
    assert len(material.cells) == 2
    assert [same.method for same in material.unfinished] == ["meds"]
    assert read_started(cell.folder).split == "meds_nr10_total-limit2"


def test_an_old_record_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "d" / "s" / "seed1" / "m-0"
    folder.mkdir(parents=True)
    (folder / RECORD).write_text(json.dumps({"schema_version": 1, "identity": {}}))
    with pytest.raises(ResultsError, match=r"cell.json' is no record of schema version 1 .*--force"):
        list(Store(tmp_path).cells())


@pytest.mark.parametrize("name", [*recipes.names("synthetic"), "meds_nr05_total_error_stratified"])
def test_parameters_of_version_1_are_those_that_recipes_give(name: str) -> None:
    """Except the data set's own contamination, which the name does not tell."""
    from ltbench.results.upgrade import _parameters

    try:
        split = recipes.build(name, open_dataset("synthetic", Path("none")), seed=1)
    except SplitsError:
        pytest.skip("not for this data set")
    told = _parameters(name)
    assert {**split.parameters, **told} == dict(split.parameters)
    assert set(split.parameters) - set(told) <= {"noise"}
    json.dumps(dict(split.parameters))


def test_a_recorded_cell_is_the_cell_again() -> None:
    (cell,) = [cell for cell in Store(VERSION_1).cells() if cell.record.cell.method == "chance"]
    again = cell_of(cell.record.cell)
    assert again.as_recorded(cell.record.cell.folder) == cell.record.cell
    split = build_split(again, open_dataset("synthetic", Path("none")))
    assert split.digest == cell.record.identity.split_digest


def test_the_page_and_the_json_schema_are_current() -> None:
    assert document.PAGE.read_text(encoding="utf-8") == document.page()
    assert document.JSON_SCHEMA.read_text(encoding="utf-8") == document.schema_text()


@pytest.mark.parametrize("change", [without("identity", "seed"), with_value("1", "cell", "seed")])
def test_the_json_schema_refuses_what_the_reader_refuses(change: Callable[[dict[str, Any]], None]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(document.schema_text())
    for cell in Store(VERSION_1).cells():
        jsonschema.validate(cell.content, schema)
    record = content()
    jsonschema.validate(record, schema)
    change(record)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, schema)
