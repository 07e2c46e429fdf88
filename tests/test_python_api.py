"""The Python interface: evaluation in this process, tables of results, metrics on arrays."""

from __future__ import annotations

import gc
import io
import linecache
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from rich.console import Console

import ltbench
from ltbench.benchmark.api import evaluate
from ltbench.benchmark.declared import card_of, name_of, source_digest
from ltbench.benchmark.errors import BrokenPrediction, UsageError
from ltbench.methods.chance import Chance
from ltbench.methods.errors import BadParameter

ROOT = Path(__file__).parents[1]
SMALL: dict[str, Any] = {"limit": 2, "view": "32/32"}


@dataclass
class Brightness:
    """Scores an image by its brightness.

    Not on the card.
    """

    power: float = 1.0

    def fit(self, train: Any, context: Any) -> None:
        self.usual = np.mean([image.mean() for image in train])

    def score(self, test: Any, context: Any) -> ltbench.Prediction:
        return ltbench.Prediction(
            np.array([abs(image.mean() - self.usual) ** self.power for image in test], np.float32)
        )


class NoFields(Brightness):
    pass


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path / "home"))


def test_import_takes_no_numpy_pandas_or_torch() -> None:
    code = "import ltbench, sys; dir(ltbench); print({'numpy', 'pandas', 'torch'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_public_name_can_be_imported() -> None:
    assert {name: getattr(ltbench, name) for name in ltbench.__all__}
    with pytest.raises(AttributeError, match="no attribute 'evalute': it has"):
        ltbench.evalute  # noqa: B018


def test_cell_of_an_object_is_the_cell_of_its_name(tmp_path: Path) -> None:
    results = evaluate(Chance(grid=3), results=tmp_path / "runs", **SMALL)
    before = results.cells[0].folder.joinpath("cell.json").stat().st_mtime_ns
    again = evaluate("chance", fields={"grid": "3"}, results=tmp_path / "runs", **SMALL)
    assert again.cells[0].folder == results.cells[0].folder
    assert again.cells[0].folder.joinpath("cell.json").stat().st_mtime_ns == before


def test_command_line_reuses_a_cell_of_the_python_interface(tmp_path: Path) -> None:
    evaluate(Chance(grid=3), results=tmp_path / "runs", **SMALL)
    words = ["--method", "chance", "--set", "grid=3", "--split", "pareto", "--limit", "2", "--view", "32/32"]
    done = subprocess.run(
        [sys.executable, "-m", "ltbench", "run", *words, "--results", str(tmp_path / "runs")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "1 cells, 1 of them finished before" in done.stderr


def test_class_of_ones_own_needs_no_card(tmp_path: Path) -> None:
    results = evaluate(Brightness(power=2), seeds=[1, 2], results=tmp_path / "runs", **SMALL)
    method = results.cells[0].record.method
    assert (method.name, method.version, method.fields["power"]) == ("Brightness", 1, 2)
    assert (method.card.title, method.card.summary) == ("Brightness", "Scores an image by its brightness.")
    assert list(results.scores) == [1, 2]
    assert results.maps[1] is None
    (row,) = results.leaderboard().to_dict("records")
    assert row["method"] == "Brightness"
    assert row["seeds"] == 2
    assert 0 <= row["image_auroc"] <= 1
    assert np.isnan(row["aupro"])
    assert "no anomaly maps" in row["why"]


def test_object_stays_unfitted() -> None:
    method = Brightness()
    evaluate(method, **SMALL)
    assert vars(method) == {"power": 1.0}


def test_changed_source_runs_again(tmp_path: Path) -> None:
    source = "\n".join(
        [
            "import numpy as np, ltbench",
            "class Same:",
            "    def fit(self, train, context): pass",
            "    def score(self, test, context):",
            "        return ltbench.Prediction(np.full(len(test), VALUE, np.float32))",
        ]
    )
    folders = []
    for value in (1, 1, 2):
        file = tmp_path / "same.py"
        file.write_text(source.replace("VALUE", str(value)))
        space: dict[str, Any] = {"__name__": "same"}
        exec(compile(file.read_text(), str(file), "exec"), space)
        folders.append(evaluate(space["Same"](), results=tmp_path / "runs", **SMALL).cells[0].folder)
    assert folders[0] == folders[1] != folders[2]


def test_source_of_a_class_is_the_notebook_cell_it_is_written_in() -> None:
    def typed(cell: str, text: str, *, known: bool) -> str:
        space: dict[str, Any] = {"__name__": "__notebook__"}
        if known:
            linecache.cache[cell] = (len(text), None, text.splitlines(keepends=True), cell)
        exec(compile(text, cell, "exec"), space)
        return source_digest(space["Typed"])

    text = "class Typed:\n    def fit(self, train, context): return 1\n"
    assert typed("<cell 1>", text, known=True) == typed("<cell 2>", text, known=True)
    assert typed("<cell 1>", text, known=True) != typed("<cell 3>", text.replace("1", "2"), known=True)
    assert typed("<prompt>", text, known=False) != typed("<prompt>", text, known=False)


def test_subclass_is_another_method_than_the_one_it_extends() -> None:
    class Finer(Chance):
        grid: int = 7

    assert name_of(Chance()) == "chance"
    assert name_of(Finer()) == card_of(Finer()).title == "Finer"
    assert source_digest(Chance) == ""
    assert source_digest(Finer) == source_digest(Finer) != ""


def test_progress_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    for module in ("calls", "console"):
        terminal = Console(file=screen, force_terminal=True, width=200)
        monkeypatch.setattr(f"ltbench.benchmark.{module}.console", terminal)
    evaluate("chance", seeds=[1, 2], **SMALL)
    shown = screen.getvalue()
    assert "synthetic pareto seed 2 chance" in shown
    assert "evaluate" in shown


def test_class_in_a_file_is_one_method_by_name_and_as_an_object(tmp_path: Path) -> None:
    by_name = evaluate(f"{__file__}:Brightness", results=tmp_path / "runs", **SMALL)
    as_object = evaluate(Brightness(), results=tmp_path / "runs", **SMALL)
    assert by_name.cells[0].folder == as_object.cells[0].folder


def test_command_of_an_object_finds_its_class_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    (cell,) = evaluate(Brightness(power=2), results=tmp_path / "runs", **SMALL).cells
    words = cell.record.command.split()
    assert words[:4] == ["ltbench", "run", "--method", "test_python_api.py:Brightness"]
    done = subprocess.run(
        [sys.executable, "-m", *words, "--results", str(tmp_path / "runs")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "1 cells, 1 of them finished before" in done.stderr


def test_nothing_is_left_of_a_temporary_place() -> None:
    results = evaluate("chance", **SMALL)
    folder = results.cells[0].folder
    part = results.select(seed=1)
    del results
    gc.collect()
    assert part.maps[1] is not None
    assert part.maps[1].shape == (len(part.scores[1]), 32, 32)
    del part
    gc.collect()
    assert not Path(str(folder)).parents[3].exists()


def test_nothing_is_printed_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    evaluate("chance", **SMALL)
    assert capfd.readouterr() == ("", "")


def test_failures_are_raised_as_they_are() -> None:
    class Broken(Brightness):
        def fit(self, train: Any, context: Any) -> None:
            raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        evaluate(Broken(), **SMALL)


class OnlyScores(Brightness):
    def score(self, test: Any, context: Any) -> Any:
        return np.zeros(len(test))


class Stateful:
    def __init__(self) -> None:
        self.grid = 3

    fit = score = Brightness.fit


@dataclass
class Unrecordable(Brightness):
    network: object = field(default_factory=object)


@dataclass
class Curious(Brightness):
    needs: ClassVar[set[str]] = {"labels"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": Brightness}, BadParameter, "is the class 'Brightness': expected an object"),
        ({"method": object()}, BadParameter, "'object' without fit and score: expected the name"),
        ({"method": Stateful()}, BadParameter, "keeps grid and is no dataclass: decorate it"),
        ({"method": Unrecordable()}, BadParameter, "a field of 'Unrecordable' cannot be recorded"),
        ({"method": Curious()}, BadParameter, "'Curious' needs 'labels': expected some of class_ids_fit"),
        ({"method": OnlyScores()}, BrokenPrediction, "returned a 'ndarray': expected ltbench.Prediction"),
        ({"method": Brightness(), "fields": {"power": 2}}, UsageError, "set them where it is made"),
        ({"method": "chance", "limit": 0}, UsageError, "limit is '0': expected 1 or more"),
        ({"method": "chance", "seeds": [1, -2]}, UsageError, "'-2' is no seed"),
        ({"method": "chance", "overlap": "some"}, UsageError, "overlap is 'some': expected one of paper"),
        ({"method": "chance", "metrics": ["aupr"]}, UsageError, "'aupr': did you mean"),
    ],
)
def test_bad_arguments_are_told_in_a_sentence(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        evaluate(**{**SMALL, **arguments})


def test_stored_results_are_tables(tmp_path: Path) -> None:
    for grid in (2, 3):
        evaluate(Chance(grid=grid), seeds="1-2", results=tmp_path, **SMALL)
    stored = ltbench.load_results(tmp_path)
    assert len(stored) == 4
    table = stored.leaderboard(split="pareto-limit2", dataset="synthetic")
    assert len(table) == 2
    assert table["image_auroc"].is_monotonic_decreasing
    rows = stored.per_class()
    of_first = rows["config_digest"] == table["config_digest"][0]
    mean = rows[of_first & (rows["metric"] == "pixel_ap")]["value"].mean()
    assert table["pixel_ap"][0] == pytest.approx(mean, abs=1e-12)
    with pytest.raises(UsageError, match="4 cells of 2 seeds: choose one method"):
        _ = stored.scores
    with pytest.raises(UsageError, match="no results of split 'clean': expected one of pareto-limit2"):
        stored.leaderboard(split="clean")
    with pytest.raises(UsageError, match="no results of group 'body': expected one of"):
        stored.leaderboard(group="body")


def test_empty_folder_is_an_empty_leaderboard(tmp_path: Path) -> None:
    assert ltbench.load_results(tmp_path).leaderboard().empty
    with pytest.raises(UsageError, match="is no folder: expected a results folder"):
        ltbench.load_results(tmp_path / "missing")
