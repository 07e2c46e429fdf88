"""--dry-run says what a command would do, ends with 0 and leaves every folder as it was."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from split_trees import mvtec_style_class
from test_run import silent

from ltbench import methods
from ltbench.benchmark import cli
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.engines import Options
from ltbench.benchmark.run import plan, run
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import View
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.results.store import Store

Command = Callable[..., tuple[int, str, str]]
CELL = ("--set", "backbone=desc", "-d", "folder:parts", "--view", "32/32", "-s", "clean")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, results of two folders, a cache: all that a command could touch."""
    root = tmp_path_factory.mktemp("dry")
    for name in ("bolt", "nut"):
        mvtec_style_class(root / "parts", name, train=4, good=3, bad=3)
    ranked = Cell(f"folder:{root / 'parts'}", "clean", 1, "padim", {"backbone": "desc"}, view=View(32, 32))
    other = Cell(f"folder:{root / 'parts'}", "clean", 1, "chance", view=View(32, 32))
    for folder, cell in (("runs", ranked), ("other", other)):
        settings = Settings(home=root / "home", results=root / folder, jobs=1)
        options = Options(keep_maps="all", rank_training=cell is ranked)
        assert not run(plan([cell], settings).cells, settings, options, silent).failed
    return root


@pytest.fixture
def ltbench(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process: (exit code, stdout, all words on one line)."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("LTBENCH_HOME", str(place / "home"))

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ltbench", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, " ".join((said.out + said.err).split())

    return call


def tree(root: Path) -> dict[str, str]:
    """Every file with its content, every folder."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(root.rglob("*"))
    }


COMMANDS = {
    "run": (["run", "-m", "padim", *CELL, "--seed", "7"], "to run"),
    "bench": (["bench", "demo", "--dataset", "folder:parts"], "to run"),
    "plan": (
        ["plan", "demo", "--dataset", "folder:parts"],
        f"unknown: no cell of patchcore on {DEFAULT_BACKBONE} has run here",
    ),
    "metrics recompute": (["metrics", "recompute"], "would compute the metrics of 1 cells in"),
    "results merge": (["results", "merge", "other"], "would be: 1 copied"),
    "results export": (["results", "export", "rows.csv"], "would write 14 rows to 'rows.csv'"),
    "rank export": (["rank", "export", "CELL", "list.csv"], "to 'list.csv'"),
    "report": (["report", "--out", "site"], "would build a site of 1 cells"),
    "weights fetch": (["weights", "fetch", "timm:resnet18"], "would look for 'timm:resnet18'"),
    "data fetch": (["data", "fetch", "dagm", "--accept-licence"], "would download"),
    "cache clear": (["cache", "clear"], "would delete"),
    "splits build": (["splits", "build", "clean", "--dataset", "mvtec", "--out", "s.txt"], "would write"),
    "splits export": (["splits", "export", "clean", "--dataset", "mvtec"], "would write 1 splits"),
    "methods new": (["methods", "new", "mine"], "mine.py"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_written(place: Path, ltbench: Command, name: str) -> None:
    words, sentence = COMMANDS[name]
    cell = next(Store(place / "runs").cells())
    words = [str(cell.folder.relative_to(place / "runs")) if word == "CELL" else word for word in words]
    before = tree(place)
    code, _, said = ltbench(*words, *([] if name == "plan" else ["--dry-run"]))
    assert (code, sentence in said) == (0, True), said
    assert tree(place) == before
    assert not (Path(methods.__path__[0]) / "mine.py").exists()


def test_a_plan_says_what_is_known_in_json(ltbench: Command) -> None:
    _, out, _ = ltbench("run", "-m", "padim", *CELL, "--seed", "1-2", "--jobs", "1", "--dry-run", "--json")
    document = json.loads(out)
    assert [cell["state"] for cell in document["cells"]] == ["done", "cached"]
    wall = document["forecast"]["wall_seconds"]
    assert 0 < wall["low"] < wall["middle"] < wall["high"]
    assert document["forecast"]["unknown_cells"] == {}
    assert document["totals"]["to_embed"] == 0


def test_a_plan_for_a_gpu_needs_none(ltbench: Command) -> None:
    code, out, _ = ltbench(
        "run", "-m", "padim", *CELL, "--seed", "2", "--device", "cuda", "--dry-run", "--json"
    )
    assert code == 0
    # What a processor has embedded is not taken for a GPU's.
    assert json.loads(out)["totals"]["to_embed"] > 0


def test_cells_whose_weights_are_missing_are_impossible_and_say_why(ltbench: Command, place: Path) -> None:
    suite = place.parent / "mixed.toml"
    suite.write_text(
        'title = "t"\nsummary = "s"\ndataset = "folder:parts"\nsplits = ["clean"]\nseeds = [1]\n'
        '[[methods]]\nname = "chance"\n[[methods]]\nname = "padim"\nbackbone = "timm:resnet18@absent.pt"\n'
    )
    code, out, _ = ltbench("plan", str(suite), "--json")
    cells = json.loads(out)["cells"]
    assert code == 0
    assert [cell["state"] for cell in cells] == ["to run", "impossible"]
    assert "absent.pt" in cells[1]["why"]
    assert json.loads(out)["totals"]["impossible"] == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--force", "--only-missing"], "give one of them"),
        (["--retry", "oom", "--only-missing"], "give one of them"),
        (["--retry", "everything"], "expected 'failed', 'none', or some of error, killed, oom, timeout"),
    ],
)
def test_options_that_contradict_each_other_are_a_mistake(
    ltbench: Command, words: list[str], sentence: str
) -> None:
    code, out, said = ltbench("run", "-m", "chance", *CELL[2:], *words)
    assert (code, out, sentence in said) == (2, "", True), said
