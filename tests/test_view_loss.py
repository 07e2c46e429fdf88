"""Pixels and defects that a view crops are measured, stored and reported by doctor, run and board."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from split_trees import draw
from typer.testing import CliRunner

from ltbench.benchmark.api import evaluate, report
from ltbench.benchmark.cli import app
from ltbench.benchmark.view_loss import view_losses
from ltbench.methods.base import View
from ltbench.results.record import ViewLossRecord
from ltbench.results.store import Store
from ltbench.splits.datasets import open_dataset

CUT, WHOLE = View(32, 24), View(32, 32, squeeze=True)


@pytest.fixture
def strips(tmp_path: Path) -> Path:
    """Images of 20 x 80 pixels, one defect at an end, one in the middle, one of two pixels."""
    root = tmp_path / "strips"
    for part in ("train/good", "test/good"):
        for number in range(3):
            _save(np.full((20, 80), 100 + number, np.uint8), root / "strip" / part / f"{number}.png")
    for number, place in enumerate([np.s_[4:8, 0:10], np.s_[4:8, 36:44], np.s_[0:1, 1:3]]):
        mask = np.zeros((20, 80), np.uint8)
        mask[place] = 255
        _save(np.full((20, 80), 120, np.uint8), root / "strip" / "test" / "dent" / f"{number}.png")
        _save(mask, root / "strip" / "ground_truth" / "dent" / f"{number}_mask.png")
    return root


def _save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def losses(strips: Path, view: View, kept: Path | None = None) -> list[ViewLossRecord]:
    dataset = open_dataset(f"folder:{strips}", strips.parent)
    tested = [image for image in dataset.images() if image.part == "test"]
    return list(view_losses(tested, dataset, view, kept))


def test_a_crop_leaves_out_area_pixels_regions_and_whole_defects(strips: Path) -> None:
    # 32 x 128 after resizing, of which 24 x 24 in the middle are 15 x 15 of 20 x 80 pixels.
    (loss,) = losses(strips, CUT)
    assert loss.area == pytest.approx(1 - 15 * 15 / (20 * 80), abs=0.02)
    assert (loss.defects, loss.hidden_defects, loss.regions, loss.hidden_regions) == (3, 2, 3, 2)
    assert loss.pixels == pytest.approx(1 - 32 / 74)


def test_a_squeezed_view_leaves_out_what_resizing_loses(strips: Path) -> None:
    (loss,) = losses(strips, View(10, 10, squeeze=True))
    assert (loss.area, loss.pixels, loss.hidden_regions) == (0, 0, 1)
    (loss,) = losses(strips, WHOLE)
    assert (loss.area, loss.pixels, loss.hidden_regions) == (0, 0, 0)


def test_losses_are_kept_until_a_mask_changes(strips: Path, tmp_path: Path) -> None:
    first = losses(strips, CUT, tmp_path / "kept")
    (file,) = (tmp_path / "kept").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "area": 0.5}))
    assert losses(strips, CUT, tmp_path / "kept")[0].area == 0.5
    file.write_text("{")
    assert losses(strips, CUT, tmp_path / "kept") == first
    _save(np.full((20, 80), 255, np.uint8), strips / "strip" / "ground_truth" / "dent" / "0_mask.png")
    assert losses(strips, CUT, tmp_path / "kept")[0].hidden_defects == 1


def test_the_area_is_known_without_masks(strips: Path) -> None:
    for file in (strips / "strip" / "ground_truth").rglob("*.png"):
        file.unlink()
    (loss,) = losses(strips, CUT)
    assert loss.area == pytest.approx(1 - 15 * 15 / (20 * 80), abs=0.02)
    assert loss.defects == 0


def test_a_run_stores_notes_and_says_what_its_view_hides(
    strips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path / "home"))
    runs, name = tmp_path / "runs", f"folder:{strips}"
    evaluate("chance", split="clean", dataset=name, view="32/24", results=runs)
    (cell,) = Store(runs).cells()
    (loss,) = cell.record.view_loss
    assert loss.hidden_defects == 2
    rows = cell.metrics().set_index("metric")
    assert "2 defective images have an empty mask" in rows.loc["aupro", "note"]
    assert rows.loc["image_auroc", "note"] == ""
    report(results=runs, out=tmp_path / "site")
    page = next((tmp_path / "site").glob("folder-strips--clean.html")).read_text()
    assert "No pixel of 2 defects is in the view" in page
    assert "strip, view 32/24: 2 of 3" in page
    data = (tmp_path / "site" / "data.html").read_text()
    assert "32/24" in data
    assert "2 of 3" in data


def test_where_all_defects_are_lost_the_reason_says_so(
    strips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path / "home"))
    for number in (1, 2):
        (strips / "strip" / "test" / "dent" / f"{number}.png").unlink()
    evaluate("chance", split="clean", dataset=f"folder:{strips}", view="32/24", results=tmp_path / "runs")
    (cell,) = Store(tmp_path / "runs").cells()
    rows = cell.metrics().set_index("metric")
    assert rows.loc["aupro", "why"] == "all 1 defects are lost in the view resize32-crop24"


def test_the_doctor_says_what_a_view_leaves_out(strips: Path) -> None:
    words = CliRunner().invoke(app, ["data", "doctor", f"folder:{strips}", "--view", "32/24"]).output
    assert "Left out by the view resize32-crop24" in words
    assert "2 of 3" in words
    words = CliRunner().invoke(app, ["data", "doctor", f"folder:{strips}"]).output
    assert "The view squeeze224-crop224 shows all of the test images and every defect." in words
    draw(strips / "strip" / "train" / "good" / "9.png")
    (strips / "strip" / "test" / "dent" / "0.png").write_bytes(b"")
    found = CliRunner().invoke(app, ["data", "doctor", f"folder:{strips}", "--json"])
    assert json.loads(found.stdout)["view"]["losses"] == []
