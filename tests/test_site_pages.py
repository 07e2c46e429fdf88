"""Ranks, published numbers, trends, figures and gallery of the site."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from generated_records import CATEGORIES, METHODS
from generated_results import generate
from packed_pages import whole
from PIL import Image
from scipy import ndimage

from ltbench.reports import overlays
from ltbench.reports.boards import boards
from ltbench.reports.comparison import CLOSE, NEAR, Compared, compare
from ltbench.reports.families import families
from ltbench.reports.leaderboard import Sheet, sheet
from ltbench.reports.material import read
from ltbench.reports.site import build_site
from ltbench.results.published import published

TRENDS = [("synthetic", "meds_nr00"), ("synthetic", "meds_nr10"), ("synthetic", "meds_nr40")]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    return generate(
        root, boards=[("mvtec", "step_k4"), *TRENDS, ("synthetic", "pareto")], gallery=1, seeds=(1, 2)
    )


@pytest.fixture(scope="module")
def sheets(results: Path) -> list[Sheet]:
    return [sheet(board) for board in boards(read(results))]


@pytest.fixture(scope="module")
def site(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    build_site(results, out)
    return out


def test_only_methods_with_every_seed_are_ranked_and_marked(sheets: list[Sheet]) -> None:
    for one in sheets:
        for table in one.metrics:
            for line in table.lines:
                for number in line.numbers:
                    assert line.entry.is_ranked or (number.standing is None and number.mark == "")
                    if number.mark:
                        assert number.standing is not None
                        assert (number.standing.tier == 1) == (number.mark == "best")
            for position in range(len(table.columns)):
                column = [line.numbers[position] for line in table.lines]
                others = [n.standing.rank for n in column if n.standing and n.standing.tier > 1]
                seconds = [n.standing.rank for n in column if n.standing and n.mark == "second"]
                assert seconds == ([min(others)] if others else [])


def test_a_column_without_a_winner_says_so_and_marks_nothing(tmp_path: Path) -> None:
    twins = [
        dataclasses.replace(METHODS[1], name=name, title=name, tail=0.8, head=0.8, fields={})
        for name in "abc"
    ]
    root = generate(
        tmp_path,
        boards=[("synthetic", "x")],
        methods=twins,
        seeds=(1, 2),
        categories=CATEGORIES[:4],
        gallery=0,
    )
    one = sheet(boards(read(root))[0])
    columns = [column for table in one.metrics for column in table.columns if column.is_marked]
    assert all("cannot show a difference" in column.note for column in columns)
    assert not any(number.mark for table in one.metrics for line in table.lines for number in line.numbers)
    build_site(root, tmp_path / "site")
    assert "No best is marked in" in (tmp_path / "site" / "synthetic--x.html").read_text()


def test_summary_has_the_ranks_of_the_page(sheets: list[Sheet], site: Path) -> None:
    stored = pd.read_parquet(site / "data" / "summary.parquet")
    stored = stored[(stored["dataset"] == "mvtec") & (stored["group"] == "all")]
    stored = stored.set_index(["config_digest", "metric"])
    one = next(one for one in sheets if one.board.dataset == "mvtec")
    for line in one.metrics[0].lines:
        number = line.numbers[[column.title for column in one.metrics[0].columns].index("All")]
        row = stored.loc[(line.entry.config_digest, "image_auroc")]
        if number.standing is None:
            assert np.isnan(row["rank"])
        else:
            assert (row["rank"], row["tie_group"]) == (number.standing.rank, number.standing.tier)


def test_published_numbers_stand_beside_measured_ones_and_never_among_them(
    sheets: list[Sheet], site: Path
) -> None:
    one = next(one for one in sheets if one.board.dataset == "mvtec")
    found = compare(one)
    softpatch = next(line for line in found if line.method == "softpatch")
    for pair in softpatch.pairs:
        assert pair.measured is not None
        assert pair.measured.mean is not None
        assert pair.delta == pytest.approx(100 * pair.measured.mean - pair.printed.value)
    cell = published("mvtec", "step_k4", "softpatch", "image_auroc", "tail")
    assert cell is not None
    assert cell in [pair.printed for pair in softpatch.pairs]
    others = {line.method for line in found if line.entry is None}
    assert others.isdisjoint({entry.method for entry in one.board.entries})
    assert others
    page = (site / "mvtec--step_k4.published.html").read_text()
    assert f"{cell.value:.2f}" in page
    assert cell.source in page
    assert not (site / "synthetic--pareto.published.html").exists()
    shown = {line.entry.method for table in one.metrics for line in table.lines}
    assert shown == {method.name for method in METHODS}


@pytest.mark.parametrize(
    ("distance", "sd", "verdict"),
    [
        (0.0, 0.0, "equal"),
        (CLOSE + 0.1, 0.0, "near"),
        (CLOSE + 0.1, 0.02, "equal"),
        (NEAR + 0.1, 0.0, "differs"),
    ],
)
def test_verdicts_follow_the_distance_and_the_spread(
    sheets: list[Sheet], distance: float, sd: float, verdict: str
) -> None:
    one = next(one for one in sheets if one.board.dataset == "mvtec")
    line: Compared = next(line for line in compare(one) if line.method == "softpatch")
    pair = line.pairs[0]
    assert pair.measured is not None
    moved = dataclasses.replace(pair.measured, mean=(pair.printed.value + distance) / 100, sd=sd)
    assert dataclasses.replace(pair, measured=moved).verdict == verdict


def test_boards_that_differ_in_one_number_are_a_family(sheets: list[Sheet], site: Path) -> None:
    found = families(sheets)
    assert [(family.dataset, family.base) for family in found] == [("synthetic", "meds")]
    assert [at for at, _ in found[0].members] == [0, 10, 40]
    text = whole(site / "trends.html")
    assert text.count("<svg") == 3
    assert text.count("<style") == 1


def test_trends_are_absent_where_nothing_varies(tmp_path: Path) -> None:
    root = generate(tmp_path / "r", boards=[("synthetic", "pareto")], seeds=(1,), gallery=0)
    build_site(root, tmp_path / "site")
    assert not (tmp_path / "site" / "trends.html").exists()
    assert "trends.html" not in (tmp_path / "site" / "index.html").read_text()


def test_figures_name_every_method_and_load_nothing(site: Path) -> None:
    text = whole(site / "mvtec--step_k4.figures.html")
    svgs = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(svgs) >= 6
    assert "Chance" in svgs[0]
    assert "SoftPatch" in svgs[0]
    assert not any("<style" in svg or "href" in svg for svg in svgs)


@pytest.mark.parametrize("upsample", ["bilinear", "bilinear_corners", "nearest"])
def test_maps_are_interpolated_and_smoothed_as_scipy_does(upsample: str) -> None:
    grids = np.random.default_rng(0).normal(size=(2, 7, 9)).astype(np.float32)
    side, sigma = 48, 2.5
    made = overlays.anomaly_maps(grids, side, sigma, upsample)
    for grid, one in zip(grids, made, strict=True):
        places = []
        for cells in grid.shape:
            target = np.arange(side)
            if upsample == "nearest":
                places.append(np.floor(target * cells / side))
            elif upsample == "bilinear_corners":
                places.append(np.linspace(0, cells - 1, side))
            else:
                places.append((target + 0.5) * cells / side - 0.5)
        at = np.meshgrid(*places, indexing="ij")
        full = ndimage.map_coordinates(grid.astype(float), at, order=1, mode="nearest")
        np.testing.assert_allclose(one, ndimage.gaussian_filter(full, sigma), atol=1e-5)


def test_pictures_have_the_border_that_the_record_names() -> None:
    post = {"sigma": 4.0, "upsample": "bilinear", "border": "zero", "radius": 2, "via": 392}
    flat = np.ones((1, 4, 4), np.float32)
    (dark,) = overlays.maps_of(flat, overlays.SIDE, post)
    assert dark[96, 96] == pytest.approx(1)
    assert dark[0, 96] == pytest.approx(0.61, abs=0.01)
    (bright,) = overlays.maps_of(flat, overlays.SIDE, {"sigma": 4.0, "upsample": "bilinear"})
    assert bright[0, 0] == pytest.approx(1)


def test_gallery_shows_each_map_where_its_grid_is_high(site: Path, results: Path) -> None:
    page = (site / "mvtec--step_k4.gallery.html").read_text()
    record = json.loads(
        next((results / "mvtec" / "step_k4" / "seed1").glob("patchcore-*/cell.json")).read_text()
    )
    for fact in record["gallery"]:
        assert fact["key"] in page
    defective = next(fact["key"] for fact in record["gallery"] if fact["defect"])
    path = next((site / "gallery" / "mvtec--step_k4").glob(f"patchcore-*/{defective}.jpg"))
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (overlays.SIDE, overlays.SIDE, 3)
    # Warm where the grid is high (rows 10 to 17 of 28), grey far from it.
    warmth = pixels[..., 0] - pixels[..., 2]
    assert warmth[75:110, 70:115].mean() > 60
    assert abs(warmth[-40:, -40:].mean()) < 20


def test_gallery_keeps_to_the_licence(tmp_path: Path) -> None:
    root = generate(tmp_path / "r", boards=[("synthetic", "pareto")], seeds=(1,), gallery=1)
    for path in root.rglob("cell.json"):
        record = json.loads(path.read_text())
        record["dataset"]["gallery_allowed"] = False
        path.write_text(json.dumps(record))
    build_site(root, tmp_path / "site")
    assert not list((tmp_path / "site").rglob("*.jpg"))
    assert not list((tmp_path / "site").glob("*gallery*"))
