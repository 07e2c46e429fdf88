"""Metrics that are asked for: a new file reaches lists, runs, recomputation and boards without a new fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from generated_results import generate
from split_trees import mvtec_style_class
from test_run import chance, run_all, silent
from typer.testing import CliRunner

from ltbench.benchmark import metrics
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.cli import app
from ltbench.benchmark.engines import Options
from ltbench.benchmark.errors import BenchmarkError, UsageError
from ltbench.benchmark.metrics.base import Metric
from ltbench.benchmark.recompute import recompute, why_not
from ltbench.benchmark.run import plan, run
from ltbench.benchmark.settings import Settings
from ltbench.benchmark.suites import asked_suite
from ltbench.reports.boards import boards
from ltbench.reports.leaderboard import sheet
from ltbench.reports.material import read
from ltbench.results.store import StoredCell

RANGE = """
from ltbench.benchmark.metrics import Metric

METRIC = Metric(
    title="Range",
    description="Highest minus lowest image score.",
    needs="scores",
    recipe="highest minus lowest; per category",
    compute=lambda truth, answer: float(answer.scores.max() - answer.scores.min()),
    order=25,
    unit="points",
    higher_is_better=False,
)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "plugins" / "metrics" / "score_range.py"
    file.parent.mkdir(parents=True)
    file.write_text(RANGE)
    monkeypatch.setenv("LTBENCH_PLUGINS", str(tmp_path / "plugins"))
    return file


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", results=tmp_path / "runs", jobs=1)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "parts"
    for name in ("bolt", "nut"):
        mvtec_style_class(root, name, train=4, good=3, bad=3)
    return root


def asking(tree: Path, names: str) -> Cell:
    return replace(chance(tree), metrics=metrics.select(names))


def scored_at(cell: StoredCell) -> str | None:
    return cell.record.timing.started_at


def test_a_metric_is_one_file(plugin: Path, tree: Path, settings: Settings) -> None:
    listed = json.loads(CliRunner().invoke(app, ["metrics", "ls", "--json"]).stdout)["metrics"]
    (told,) = [each for each in listed if each["metric"] == "score_range"]
    assert (told["title"], told["needs"], told["shown"], told["unit"]) == ("Range", "scores", False, "points")

    (plain,) = run_all([chance(tree)], settings).cells
    assert set(plain.record.metrics) == set(metrics.standard())
    rows = plain.metrics()
    recomputed = recompute(plain, settings, ["score_range"])
    assert recomputed.changed == 2
    added = recomputed.cell.metrics()
    assert list(added["metric"][:4]) == ["image_auroc", "image_ap", "score_range", "image_f1max"]
    rest = added[added["metric"] != "score_range"].reset_index(drop=True)
    assert rest.equals(rows)

    (cell,) = run_all([asking(tree, "standard,score_range")], settings).cells
    assert scored_at(cell) == scored_at(plain)

    (board,) = boards(read(settings.results))
    table = next(table for table in sheet(board).metrics if table.title == "Range")
    assert [metric.name for metric in board.metrics][2] == "score_range"
    assert table.columns[0].unit == "points"
    assert not table.columns[0].higher_is_better
    scores = cell.scores().groupby("category")["score"]
    assert table.lines[0].numbers[-1].mean == pytest.approx((scores.max() - scores.min()).mean())


def test_a_changed_file_is_another_recipe(plugin: Path) -> None:
    before = metrics.load("score_range").recipe
    plugin.write_text(RANGE.replace(".max()", ".mean()"))
    assert metrics.load("score_range").recipe != before


def test_metrics_of_a_run_are_those_that_were_asked_for(tree: Path, settings: Settings) -> None:
    (cell,) = run_all([asking(tree, "image_a*,aupimo")], settings).cells
    assert set(cell.metrics()["metric"]) == {"image_auroc", "image_ap", "image_auroc_balanced", "aupimo"}
    assert not len(cell.curves())
    (again,) = run_all([chance(tree)], settings).cells
    assert scored_at(again) == scored_at(cell)
    assert set(again.metrics()["metric"]) == {*metrics.standard(), "image_auroc_balanced", "aupimo"}
    assert len(again.curves())


def test_metrics_of_maps_that_were_not_kept_are_refused(tree: Path, settings: Settings) -> None:
    (cell,) = run_all([chance(tree)], settings, keep_maps="none").cells
    assert why_not(cell, ["image_auroc_balanced"]) == ""
    assert "its maps were not kept" in why_not(cell, ["image_auroc_balanced", "aupimo"])
    planned = plan([asking(tree, "aupimo")], settings)
    outcome = run(planned.cells, settings, Options(), silent)
    assert outcome.reused == 1
    with pytest.raises(BenchmarkError, match="the first lacks 'aupimo': its maps were not kept"):
        planned.require_metrics(outcome)
    outcome = run(planned.cells, settings, Options(force=True), silent)
    planned.require_metrics(outcome)


def test_the_facts_of_a_metric_are_stored(tree: Path, settings: Settings) -> None:
    (cell,) = run_all([chance(tree)], settings).cells
    for name, facts in cell.record.metrics.items():
        metric: Metric = metrics.load(name)
        for fact in ("title", "needs", "order", "shown", "unit", "higher_is_better", "curve"):
            assert getattr(facts, fact) == getattr(metric, fact)


def test_a_suite_asks_for_metrics(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    text = (
        'title = "t"\nsummary = "s"\ndataset = "synthetic"\nsplits = ["clean"]\nseeds = [1]\n'
        'metrics = {}\n[[methods]]\nname = "chance"\n'
    )
    file.write_text(text.format('["image_auroc", "aupro_0*"]'))
    (cell,) = asked_suite(str(file), None).cells()
    assert cell.metric_names == ("image_auroc", "aupro_05", "aupro_01")
    assert "--metrics image_auroc,aupro_05,aupro_01" in cell.command()
    (cell,) = asked_suite(str(file), None, metrics="standard").cells()
    assert cell.metric_names == metrics.standard()
    for wrong, why in (('"aupr0"', "no metric matches 'aupr0'"), ("5", "cannot read the suite")):
        file.write_text(text.format(wrong))
        with pytest.raises(UsageError, match=why):
            asked_suite(str(file), None)


def test_boards_rank_by_the_metrics_own_sense(tmp_path: Path) -> None:
    board = boards(read(generate(tmp_path / "results", gallery=0)))[0]
    turned = [replace(metric, higher_is_better=False) for metric in board.metrics]
    upward, downward = (sheet(each).metrics[0] for each in (board, replace(board, metrics=turned)))
    means = [[line.numbers[-2].mean for line in table.lines if line.rank] for table in (upward, downward)]
    assert len(means[0]) > 2
    assert means[0] == means[1][::-1] == sorted(means[0], reverse=True)
    best = [
        {line.entry.method for line in table.lines if line.numbers[-2].mark == "best"}
        for table in (upward, downward)
    ]
    assert upward.lines[0].entry.method in best[0]
    assert downward.lines[0].entry.method in best[1] - best[0]
    intervals = [
        {line.entry.anchor: line.numbers[-2].interval for line in table.lines} for table in (upward, downward)
    ]
    for anchor, ends in intervals[0].items():
        assert intervals[1][anchor] == (None if ends is None else pytest.approx(ends))
