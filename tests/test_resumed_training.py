"""A training that is killed half-way goes on from its checkpoint, and ends with the same bits."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from faulty_cells import CountedTraining, Quiet
from remote_roots import in_memory
from split_trees import mvtec_style_class

from ltbench.benchmark.cell import Cell
from ltbench.benchmark.engines import Options
from ltbench.benchmark.run import plan, run
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import View
from ltbench.results.places import RemotePath
from ltbench.results.status import Status
from ltbench.results.store import MAPS_FILE, SCORES_FILE, StoredCell

SMALL = {
    "backbone": "desc", "iterations": 12, "batch_size": 4, "grid": 4, "neighbours": 0,
    "width": 16, "heads": 2, "hidden": 16, "depth": 1,
}  # fmt: skip
STEPS = 12


def trained(cell: Cell, settings: Settings) -> StoredCell:
    options = Options(keep_maps="all")
    outcome = run(plan([cell], settings).cells, settings, options, lambda *_: nullcontext(Quiet()))
    return outcome.cells[0]


def test_a_killed_training_goes_on_from_its_checkpoint_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bolt", "nut"):
        mvtec_style_class(tmp_path / "parts", name, train=4, good=3, bad=3)
    cell = Cell(f"folder:{tmp_path / 'parts'}", "clean", 1, "uniad", SMALL, view=View(64, 64))
    disturbed = Settings(home=tmp_path / "home", results=tmp_path / "disturbed", jobs=1)
    whole = Settings(home=tmp_path / "home", results=tmp_path / "whole", jobs=1)

    counted = tmp_path / "steps"
    monkeypatch.setattr("ltbench.benchmark.engines.local.run_cell", CountedTraining(str(counted), kill_at=7))
    killed = trained(cell, disturbed)
    assert killed.status is Status.KILLED, killed.content["error"]
    assert counted.stat().st_size == 7
    resumed = trained(cell, disturbed)
    assert resumed.status is Status.OK, resumed.content["error"]
    # The seventh step is the only one that was taken twice.
    assert counted.stat().st_size == STEPS + 1
    assert not (resumed.folder / "work").exists()

    other = CountedTraining(str(tmp_path / "other steps"))
    monkeypatch.setattr("ltbench.benchmark.engines.local.run_cell", other)
    undisturbed = trained(cell, whole)
    assert (tmp_path / "other steps").stat().st_size == STEPS
    for name in (SCORES_FILE, MAPS_FILE):
        assert (resumed.folder / name).read_bytes() == (undisturbed.folder / name).read_bytes()
    assert resumed.metrics()["value"].equals(undisturbed.metrics()["value"])


def test_checkpoints_of_a_cell_behind_a_url_lie_on_this_machine(tmp_path: Path) -> None:
    folder = in_memory() / "mvtec" / "clean" / "seed1" / "uniad-0123456789"
    assert isinstance(folder, RemotePath)
    settings = Settings(home=tmp_path)
    assert settings.local(folder).is_relative_to(tmp_path)
    assert settings.local(folder) == settings.local(folder)
    assert settings.local(folder) != settings.local(folder.parent / "uniad-9876543210")
