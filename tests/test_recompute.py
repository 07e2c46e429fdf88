"""Metrics and curves again from stored maps: all of a cell's tables are of one time."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from split_trees import mvtec_style_class
from test_run import chance, run_all

from ltbench.benchmark.cell import Cell
from ltbench.benchmark.recompute import recompute
from ltbench.benchmark.selection import parse_fields
from ltbench.benchmark.settings import Settings
from ltbench.methods import catalog
from ltbench.results import writer
from ltbench.results.schema import CURVES, METRICS, table
from ltbench.results.store import CURVES_FILE, METRICS_FILE, RECORD, Store, StoredCell
from ltbench.results.writer import rewrite_tables

STALE = [{"category": "nut", "curve": "pro", "false_positives": 0.1, "covered": 0.9}]
"""As an older recipe might have left it."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("ltbench")
    return Settings(home=root / "home", results=root / "runs", jobs=1)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "parts"
    mvtec_style_class(root, "bolt", train=4, good=3, bad=3)
    mvtec_style_class(root, "nut", train=4, good=3, bad=3, suffix=None)
    return root


@pytest.fixture
def cell(tree: Path, settings: Settings) -> StoredCell:
    """With maps, and as it was run; what a test has damaged is run again."""
    return run_all([chance(tree)], settings, keep_maps="all", force=True).cells[0]


def test_recomputing_replaces_the_curves_too(cell: StoredCell, settings: Settings) -> None:
    before = cell.curves()
    assert set(before["category"]) == {"bolt"}  # the other class has no masks
    stale = rewrite_tables(cell, {CURVES_FILE: table(STALE, CURVES)}, cell.content)
    assert set(stale.curves()["category"]) == {"nut"}
    recompute(stale, settings)
    found = Store(settings.results).find(cell.folder)
    assert found is not None
    assert found.curves().equals(before)
    assert found.metrics().equals(cell.metrics())


def test_recomputing_adds_curves_where_none_were_stored(cell: StoredCell, settings: Settings) -> None:
    without = rewrite_tables(cell, {CURVES_FILE: CURVES.empty_table()}, cell.content)
    assert not (cell.folder / CURVES_FILE).exists()
    assert without.damage() == ""
    recompute(without, settings)
    found = Store(settings.results).find(cell.folder)
    assert found is not None
    assert found.curves().equals(cell.curves())


@pytest.mark.parametrize("stopped_at", [METRICS_FILE, CURVES_FILE, RECORD])
def test_a_recomputation_that_is_killed_leaves_the_old_cell_or_a_damaged_one(
    cell: StoredCell, settings: Settings, monkeypatch: pytest.MonkeyPatch, stopped_at: str
) -> None:
    rows = cell.metrics().assign(value=0.5)
    fresh = {METRICS_FILE: pa.Table.from_pandas(rows, METRICS), CURVES_FILE: table(STALE, CURVES)}

    def killed(path: Path, *content: object) -> None:
        if path.name == stopped_at:
            raise KeyboardInterrupt
        real[type(content[0]) is dict](path, *content)

    real = {False: writer.write_bytes, True: writer.write_json}
    monkeypatch.setattr(writer, "write_bytes", killed)
    monkeypatch.setattr(writer, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        rewrite_tables(cell, fresh, cell.content)
    found = Store(settings.results).find(cell.folder)
    assert (found is not None) == (stopped_at == METRICS_FILE)
    if found is not None:
        assert found.metrics().equals(cell.metrics())


def test_a_cell_in_a_folder_with_spaces_is_recomputed(tmp_path: Path) -> None:
    root = tmp_path / "my data" / "parts"
    mvtec_style_class(root, "bolt", train=4, good=3, bad=3)
    settings = Settings(home=tmp_path / "home", results=tmp_path / "runs", jobs=1)
    (cell,) = run_all([chance(root)], settings, keep_maps="all").cells
    assert recompute(cell, settings).why_not == ""


def test_a_cell_whose_images_are_gone_is_left_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "parts"
    mvtec_style_class(root, "bolt", train=4, good=3, bad=3)
    settings = Settings(home=tmp_path / "home", results=tmp_path / "runs", jobs=1)
    (cell,) = run_all([chance(root)], settings, keep_maps="all").cells
    root.rename(tmp_path / "elsewhere")
    done = recompute(cell, settings)
    assert "parts" in done.why_not
    assert done.changed == 0


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("patchcore", {"layers": ["desc", "stride8"], "grid": None, "coreset_ratio": 0.25}),
        ("patchcore", {"backbone": "timm:vgg16.tv_in1k?mean=0&std=1", "standardise": False}),
        (
            "meds",
            {"host": "uniad", "k": 3.0, "host_fields": {"iterations": 5, "layers": ["desc", "stride8"]}},
        ),
    ],
)
def test_a_recorded_command_means_the_same_cell_in_a_shell(method: str, fields: dict[str, object]) -> None:
    cell = Cell("folder:/data/my parts", "clean", 1, method, fields)
    words = shlex.split(cell.command())
    assert words[words.index("--dataset") + 1] == cell.dataset
    typed = parse_fields(word for before, word in pairwise(words) if before == "--set")
    assert catalog.config(catalog.create(method, **typed)) == catalog.config(catalog.create(method, **fields))
