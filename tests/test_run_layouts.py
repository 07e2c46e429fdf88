"""A limited run works end to end on each layout that VisA comes in, from files alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from split_trees import draw, draw_mask
from test_run import VIEW, run_all

from ltbench.benchmark.cell import Cell, build_split
from ltbench.benchmark.settings import Settings
from ltbench.results.status import Status
from ltbench.splits.datasets import open_dataset
from ltbench.splits.datasets.files import FileDataset

LAYOUTS = {
    "original": "VisA_20220922/candle/Data/Images/Normal/0000.JPG",
    "converted": "VisA_pytorch/1cls/candle/train/good/0000.JPG",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_visa_runs_from_its_files(tmp_path: Path, layout: str) -> None:
    data = tmp_path / "data"
    draw(data / LAYOUTS[layout])
    cell = Cell("visa:candle+capsules+cashew+fryum", "step_k4", 1, "chance", {}, view=VIEW, limit=2)
    dataset = open_dataset(cell.dataset, data)
    assert isinstance(dataset, FileDataset)
    split = build_split(cell, dataset)
    for image in (*split.train, *split.test):
        draw(dataset.file(image.path))
        if image.mask:
            draw_mask(dataset.file(image.mask))
    settings = Settings(home=tmp_path / "home", data=data, results=tmp_path / "runs", jobs=1)
    (stored,) = run_all([cell], settings).cells
    assert stored.status is Status.OK, stored.content["error"]
    rows = stored.metrics()
    assert set(rows["category"]) == {"candle", "capsules", "cashew", "fryum"}
    assert rows["value"].notna().all()
