"""The page on label correction: what the runs' rankings say, and nothing where no run ranked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from generated_records import METHODS
from generated_results import generate
from PIL import Image

from ltbench.reports.site import build_site
from ltbench.results.ranking import CORRECTION, CORRECTION_FILE, RANKING, RANKING_FILE
from ltbench.results.schema import table
from ltbench.results.store import METRICS_FILE, SCORES_FILE, Store, StoredCell
from ltbench.results.writer import CellWriter

NAMES = ("cap", "gear")
DEPTHS = {
    ("patchcore", 1): (0.2, 0.4),
    ("patchcore", 2): (0.3, 0.5),
    ("softpatch", 1): (0.6, 0.9),
    ("softpatch", 2): (0.8, 0.9),
}


def with_rankings(root: Path) -> Path:
    """A board of three methods, two of which ranked their training images, the second one in one seed."""
    methods = [method for method in METHODS if method.name in ("patchcore", "softpatch", "chance")]
    generate(
        root, boards=[("synthetic", "meds_nr10")], methods=methods, seeds=(1, 2), categories=NAMES, gallery=0
    )
    for cell in list(Store(root).cells()):
        same = cell.content["identity"]
        if (depths := DEPTHS.get((same["method"], same["seed"]))) is not None:
            rank(cell, depths)
    picture = Image.fromarray(np.full((96, 96, 3), 120, np.uint8))
    (root / "synthetic" / "gallery").mkdir(parents=True, exist_ok=True)
    picture.save(root / "synthetic" / "gallery" / "cap1.jpg")
    return root


def rank(cell: StoredCell, depths: tuple[float, float]) -> None:
    """Store the cell again, with a ranking of three images per category."""
    kept = {name: pq.read_table(cell.folder / name) for name in (METRICS_FILE, SCORES_FILE)}
    writer = CellWriter(cell.folder, {})
    for name, content in kept.items():
        writer.write_table(name, content)
    rows = [
        {"key": f"{category}{place}", "path": f"{category}/{place}.png", "category": category, "place": place,
         "defect": "" if place > 1 else "scratch", "injected": place == 1, "score": 1.0 / place}
        for category in NAMES for place in (1, 2, 3)
    ]  # fmt: skip
    writer.write_table(RANKING_FILE, table(rows, RANKING))
    corrections = [
        {"category": category, "n_train": 3, "n_injected": 1, "auprc": 1 - depth, "auprc_floor": 0.25,
         "depth": depth, "depth_floor": 0.25, "why": ""}
        for category, depth in zip(NAMES, depths, strict=True)
    ]  # fmt: skip
    corrections.append({"category": "zinc", "n_train": 3, "n_injected": 0, "why": "nothing to find"})
    writer.write_table(CORRECTION_FILE, table(corrections, CORRECTION))
    writer.finish({**cell.content, "label_correction": {"ranked_by": "rank"}})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("correction")
    build_site(with_rankings(folder / "results"), folder / "site")
    return folder / "site", (folder / "site" / "synthetic--meds_nr10.correction.html").read_text()


def cells(html: str, title: str, number: int) -> list[str]:
    """Texts of the cells of a method's row in the table of that number."""
    body = re.findall(r"<tbody>(.*?)</tbody>", html, re.DOTALL)[number]
    row = next(row for row in re.findall(r"<tr>(.*?)(?=<tr>|$)", body, re.DOTALL) if title in row)
    return [
        re.sub(r"<[^>]+>", "", text).strip()
        for text in re.findall(r"<td>(.*?)(?=<td>|</td>|$)", row, re.DOTALL)
    ]


def test_methods_stand_by_what_they_find(page: tuple[Path, str]) -> None:
    _, html = page
    first = re.findall(r"<tbody>(.*?)</tbody>", html, re.DOTALL)[0]
    assert first.index("PatchCore") < first.index("SoftPatch")
    assert "hance" not in first, "it did not rank"


def test_mean_over_categories_and_their_sample_deviation_are_averaged_over_seeds(
    page: tuple[Path, str],
) -> None:
    _, html = page
    depths = np.array([DEPTHS["patchcore", 1], DEPTHS["patchcore", 2]])
    mean, spread = 100 * depths.mean(), 100 * depths.std(axis=1, ddof=1).mean()
    assert cells(html, "PatchCore", 0) == [
        "2", f"{100 - mean:.1f}", f"{spread:.1f}", f"{mean:.1f}", f"{spread:.1f}", "its own ranking"
    ]  # fmt: skip


def test_per_category_the_spread_is_over_seeds(page: tuple[Path, str]) -> None:
    _, html = page
    depth = html[html.index('id="depth"') :]
    names = [name for name in re.findall(r'data-sort="number">([a-z]+)<', depth) if name in NAMES]
    found = dict(zip(names, cells(html, "PatchCore", 2), strict=True))
    assert found == {
        "cap": f"25.0 {100 * np.std([0.2, 0.3], ddof=1):.1f}",
        "gear": f"45.0 {100 * np.std([0.4, 0.5], ddof=1):.1f}",
    }
    assert "zinc" not in html
    assert "25.0 %" in html, "what a ranking that knows nothing has"


def test_pictures_are_shown_as_far_as_they_are_stored(page: tuple[Path, str]) -> None:
    site, html = page
    assert "1. scratch" in html
    assert "2. good" not in html, "its picture is not stored"
    assert (site / "gallery" / "synthetic" / "cap1.jpg").exists()


def test_boards_without_rankings_have_no_such_page(tmp_path: Path) -> None:
    generate(tmp_path / "results", boards=[("synthetic", "pareto")], seeds=(1,), categories=NAMES, gallery=0)
    build_site(tmp_path / "results", tmp_path / "site")
    assert not list((tmp_path / "site").glob("*.correction.html"))
    assert "Label correction" not in (tmp_path / "site" / "synthetic--pareto.html").read_text()
