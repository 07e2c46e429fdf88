"""`--method file.py:Class`: a method that belongs to no package, named by its file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from test_plugins import ltbench, write

from ltbench.benchmark import suites
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.engines import Options
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.scaffold import method_source
from ltbench.benchmark.settings import Settings
from ltbench.benchmark.worker import Known, run_cell
from ltbench.methods import catalog
from ltbench.methods.base import no_progress
from ltbench.methods.errors import BadParameter
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.registry import PluginError

METHOD = "mine.py:Mine"
SOURCE = method_source("mine").replace(DEFAULT_BACKBONE, "desc")
"""File that `ltbench methods new mine` writes, with the weight-free backbone."""
WORDS = ("run", "-s", "clean", "-d", "synthetic:small+washer", "--view", "32/32", "--jobs", "1")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a method of one file."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine.py", SOURCE)
    return tmp_path


def cells(place: Path) -> list[str]:
    return sorted(path.parent.name for path in (place / "runs").glob("*/*/*/*/cell.json"))


def run(place: Path, method: str) -> subprocess.CompletedProcess[str]:
    done = ltbench(place, *WORDS, "-m", method)
    assert done.returncode == 0, done.stderr
    return done


def test_the_content_of_the_file_is_part_of_the_cell(place: Path) -> None:
    run(place, METHOD)
    (cell,) = cells(place)
    assert cell.startswith("Mine-")
    again = run(place, str(place / METHOD))
    assert "1 cells, 1 of them finished before" in again.stderr, "another path to the file is the same cell"
    write(place / "mine.py", SOURCE + "\n# edited\n")
    assert "1 cells, 0 of them finished before" in run(place, METHOD).stderr
    assert len(cells(place)) == 2


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (
            "absent.py:Mine",
            r"file 'absent\.py' cannot be read \(No such file or directory\): expected a",
        ),
        ("mine.py:Mien", r"'mine\.py' has no class 'Mien': did you mean 'Mine'\? its classes are Mine"),
        ("mine.py", r"method 'mine\.py' names no class: write 'FILE\.py:CLASS', e\.g\. 'mine\.py:MyMethod'"),
        ("plain.py:Plain", r"class 'Plain' in 'plain\.py' is no method, it lacks "),
        ("wrong.py:Wrong", r"'wrong\.py' is no valid Python, line 2: "),
        (
            "fails.py:Fails",
            r"'fails\.py' cannot be imported, line 2: ModuleNotFoundError: No module named",
        ),
    ],
)
def test_a_mistake_is_one_sentence(place: Path, method: str, sentence: str) -> None:
    write(place / "plain.py", "class Plain:\n    pass\n")
    write(place / "wrong.py", "import os\nclass Wrong(:\n")
    write(place / "fails.py", "import os\nimport nix\n")
    with pytest.raises((BadParameter, PluginError), match=sentence) as caught:
        catalog.load_class(method)
    assert caught.value.exit_code == 2
    done = ltbench(place, *WORDS, "-m", method)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_file_that_was_edited_after_the_run_began_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path / "home"))
    settings = Settings(home=tmp_path / "home", results=tmp_path / "runs")
    known = Known(weights_digest="", config_digest="0" * 64, environment={})
    cell = Cell("synthetic:small+washer", "clean", 1, "chance")
    with pytest.raises(UsageError, match="the file of method 'chance' was edited after the run began"):
        run_cell(cell, settings, Options(), known, no_progress)


def test_show_and_check_take_a_file(place: Path) -> None:
    shown = ltbench(place, "methods", "show", METHOD)
    assert "backbone" in shown.stdout
    checked = ltbench(place, "methods", "check", METHOD)
    assert (checked.returncode, "FAILED" in checked.stdout) == (0, False)


def test_a_suite_finds_the_file_beside_itself(place: Path) -> None:
    head = 'title = "t"\nsummary = "s"\ndataset = "synthetic"\nsplits = ["clean"]\nseeds = [1]\n'
    text = head + f'[[methods]]\nname = "{METHOD}"\nbackbone = "desc"\n'
    write(place / "tables" / "mine.toml", text)
    write(place / "tables" / "mine.py", SOURCE)
    suite = suites.read(Path("tables/mine.toml"))
    (cell,) = suite.cells()
    assert (cell.method, cell.method_name) == ("tables/mine.py:Mine", "Mine")
    assert catalog.create(cell.method, **cell.fields).backbone == "desc"
    assert suite.facts()["methods"] == ["Mine"], "boards know a method by its recorded name"


def test_randomness_does_not_depend_on_the_path() -> None:
    one, other = (Cell("synthetic", "clean", 1, f"{folder}mine.py:Mine") for folder in ("", "/a/b/"))
    assert one.generator("synthetic").random() == other.generator("synthetic").random()


def test_a_new_method_is_written_beside_and_never_over_another(place: Path) -> None:
    done = ltbench(place, "methods", "new", "my_method")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "ltbench methods check my_method.py:MyMethod",
        "ltbench run --method my_method.py:MyMethod --split pareto",
    ]
    before = (place / "my_method.py").read_bytes()
    again = ltbench(place, "methods", "new", "my_method")
    assert (again.returncode, "exists and is left as it is" in again.stderr) == (2, True)
    assert (place / "my_method.py").read_bytes() == before
    assert ltbench(place, "methods", "new", "My-Method").returncode == 2
