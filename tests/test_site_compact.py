"""Packed parts of pages, what a large site leaves out, intervals over test images, curves, papers' tables."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from generated_results import generate
from hypothesis import given
from hypothesis import strategies as st
from packed_pages import whole

from ltbench.benchmark.curves import LIMIT, pro_curve
from ltbench.benchmark.metrics import Answer, Truth
from ltbench.benchmark.metrics import load as load_metric
from ltbench.reports.boards import boards
from ltbench.reports.leaderboard import Sheet, sheet
from ltbench.reports.material import read
from ltbench.reports.packing import LEAST_LENGTH, packed, script_data, unpacked
from ltbench.reports.papers import paper_tables
from ltbench.reports.scored import score_figures
from ltbench.reports.site import build_site
from ltbench.reports.statistics.intervals import image_intervals
from ltbench.reports.statistics.resampling import Draws
from ltbench.reports.uncertainty import CACHE_FILE, group_ends, image_ends, of_cell
from ltbench.results.published.printed import cells, tables

CATEGORIES = ("bottle", "cable", "capsule", "grid", "pill", "wood")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    return generate(
        root, boards=[("mvtec", "pareto")], seeds=(1, 2), categories=CATEGORIES, gallery=0, with_scores=True
    )


@pytest.fixture(scope="module")
def site(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    build_site(results, out)
    return out


class Folded(HTMLParser):
    """Values of data-packed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts += [str(value) for name, value in attrs if name == "data-packed"]


NUMBERS = st.one_of(
    st.integers(-10_100, 10_100).map(str),
    st.floats(-1200, 1200).map(lambda value: f"{value:.1f}"),
    st.floats(-1200, 1200).map(lambda value: f"{value:.2f}"),
    st.sampled_from(["<i>", " ", ",", "#", "007", "-0", ".", "\x01", "\0"]),
)


@given(st.one_of(st.text(max_size=300), st.lists(NUMBERS, max_size=60).map("".join)))
def test_what_is_packed_comes_back_through_an_attribute(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode() + LEAST_LENGTH * " "
    html = packed(text)
    if html == text:
        assert {"\x01", "\x02", "\x03"} & set(text)
        return
    (part,) = Folded(html).parts
    assert unpacked(part) == text


def test_a_short_part_stays_as_it_is() -> None:
    assert packed("<p>1.5</p>") == "<p>1.5</p>"


def test_facts_for_scripts_cannot_end_their_element() -> None:
    assert script_data("x", {"a": "</script><!--"}).count("<") == 2


def test_a_large_site_leaves_out_files_and_figures_of_categories_and_no_number_of_a_table(
    results: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltbench.reports.site.LARGE", 10)
    large = tmp_path / "large"
    build_site(results, large)
    assert {path.name for path in site.glob("*.html")} == {path.name for path in large.glob("*.html")}
    for name in ("", ".classes", ".ranks", ".runs"):
        pages = [whole(folder / f"mvtec--pareto{name}.html") for folder in (site, large)]
        numbers = [re.findall(r"<t[dh][^>]*>([^<]+)", page) for page in pages]
        assert numbers[0] == numbers[1] != []
    summaries = [pd.read_parquet(folder / "data" / "summary.parquet") for folder in (site, large)]
    pd.testing.assert_frame_equal(*summaries)
    assert not list((large / "data").glob("mvtec*.csv"))
    figures = [whole(folder / "mvtec--pareto.figures.html") for folder in (site, large)]
    assert "Every category" in figures[0]
    assert "Every category" not in figures[1]
    sizes = [sum(path.stat().st_size for path in folder.rglob("*.*")) for folder in (site, large)]
    assert sizes[1] < 0.95 * sizes[0]


def test_the_board_itself_is_never_packed(site: Path) -> None:
    html = (site / "mvtec--pareto.html").read_text(encoding="utf-8")
    table = html[html.index('id="scores"') : html.index("</table>")]
    assert "data-packed" not in table
    assert len(re.findall(r"<td[^>]*>\d+\.\d+", table)) > 80


def test_intervals_are_those_of_the_stored_scores_and_are_kept(results: Path) -> None:
    found = read(results)
    ends = image_ends(results, found.cells)
    cell = next(cell for cell in found.cells if cell.content["identity"]["method"] == "patchcore")
    expected = image_intervals(cell.scores(), Draws())
    for row in expected.itertuples(index=False):
        if np.isfinite(row.ci_low):
            assert of_cell(ends, cell)[row.category, row.metric] == pytest.approx((row.ci_low, row.ci_high))
    assert (results / CACHE_FILE).is_file()
    told: list[int] = []
    again = image_ends(results, found.cells, lambda done, of: told.append(done))
    assert told == []
    assert of_cell(again, cell) == of_cell(ends, cell)


def test_the_interval_of_a_mean_covers_as_often_as_it_says() -> None:
    """Independent categories with normal errors: the ends of the mean hold the truth in about 95 of 100."""
    rng = np.random.default_rng(7)
    truth, error, hits = 0.8, np.array([[0.01, 0.03, 0.02, 0.05]]), 0
    for _ in range(2000):
        value = truth + error * rng.normal(size=(1, 4))
        low, high = group_ends(value, value - 1.96 * error, value + 1.96 * error, np.ones((1, 4), dtype=bool))
        hits += low <= truth <= high
    assert 0.935 < hits / 2000 < 0.965


def test_numbers_of_a_sheet_lie_within_their_intervals(results: Path) -> None:
    found = read(results)
    one = sheet(boards(found)[0], image_ends(results, found.cells))
    numbers = [n for line in one.metrics[0].lines for n in line.numbers if n.images is not None]
    assert len(numbers) > 10
    for number in numbers:
        assert number.mean is not None
        assert number.images is not None
        assert number.images[0] <= number.mean <= number.images[1]
    pixel = next(table for table in one.metrics if table.title == "Pixel AUROC")
    assert all(n.images is None for line in pixel.lines for n in line.numbers)


def test_curves_are_drawn_where_they_are_stored(results: Path) -> None:
    names = [name for name, _ in score_figures(sheet(boards(read(results))[0]))]
    assert names[:2] == ["roc", "pro"]
    assert sum(name.startswith("scores-") for name in names) == 2


def test_the_kept_pro_curve_has_the_area_of_aupro() -> None:
    rng = np.random.default_rng(3)
    masks = np.zeros((4, 48, 48), dtype=bool)
    masks[0, 5:20, 5:15] = masks[1, 30:40, 2:9] = masks[1, 4:9, 30:44] = True
    maps = (rng.normal(size=masks.shape) + 1.5 * masks).astype(np.float32)
    truth = Truth(labels=masks.any(axis=(1, 2)), masks=masks)
    answer = Answer(scores=maps.max(axis=(1, 2)), maps=maps)
    points = pro_curve(truth, answer)
    area = np.trapezoid(points[:, 1], points[:, 0]) / LIMIT
    assert area == pytest.approx(load_metric("aupro").compute(truth, answer), abs=0.005)
    assert (np.diff(points) >= 0).all() or (np.diff(points[:, 1]) >= 0).all()
    # Against the definition, at some rates: the lowest threshold whose false alarms the rate still allows.
    normal = np.sort(maps[~masks])[::-1]
    for rate, covered in points[8::14]:
        allowed = int(rate * normal.size)
        above = maps > normal[allowed]
        regions = [above[0, 5:20, 5:15], above[1, 30:40, 2:9], above[1, 4:9, 30:44]]
        assert covered == pytest.approx(np.mean([region.mean() for region in regions]), abs=1e-9)


def test_papers_tables_hold_every_printed_number_of_their_kind() -> None:
    for paper in ("ltad", "tailedcore", "meds"):
        shown = list(paper_tables(paper, []))
        wanted = {t.table for t in tables() if t.paper == paper and t.kind in ("main", "ablation")}
        assert {one.table.table for one in shown} == wanted
        for one in shown:
            printed = [cell.pair.printed for row in one.rows for cell in row.cells if cell is not None]
            assert len(printed) == one.table.cells == len(set(printed))
        assert sum(one.table.cells for one in shown) == sum(cell.table in wanted for cell in cells(paper))


def test_the_noise_ratio_figure_is_shown_where_one_of_its_splits_has_a_board(results: Path) -> None:
    sheets = sheets_with("step_k4_ablation_nr40", results)
    (panel,) = [one for one in paper_tables("tailedcore", sheets) if one.table.kind == "figure"]
    assert panel.table.title == "Noise-ratio figure (authors' logs)"
    assert [row.method for row in panel.rows] == ["PatchCore", "SoftPatch", "TailedCore"]
    assert sum(cell is not None for row in panel.rows for cell in row.cells) == panel.table.cells == 48
    measured = [pair.printed for pair in panel.deltas]
    assert {cell.split for cell in measured} == {"step_k4_ablation_nr40"}
    assert {cell.category for cell in measured} == {"all"}


def test_wide_tables_are_turned_and_keep_every_cell(results: Path) -> None:
    shown = [one for one in paper_tables("meds", sheets_with("meds_nr10", results)) if one.table.table == 9]
    (one,) = shown
    assert len(one.columns) == 64
    parts = one.parts
    assert [part.title for part in parts] == ["P-AUROC", "P-AP", "P-F1max", "AUPRO"]
    turned = [cell for part in parts for _, cells in part.rows for cell in cells if cell is not None]
    plain = [cell for row in one.rows for cell in row.cells if cell is not None]
    assert {id(cell) for cell in turned} == {id(cell) for cell in plain}
    assert len(turned) == len(plain) == one.table.cells
    title, row = parts[1].rows[3]
    for method, cell in zip(parts[1].methods, row, strict=True):
        assert cell is not None
        printed = cell.pair.printed
        assert (printed.category, printed.metric, printed.printed_method) == (title, "pixel_ap", method)


def sheets_with(split: str, results: Path) -> list[Sheet]:
    """The sheet of the results, as if it were of this split of MVTec AD."""
    one = sheet(boards(read(results))[0])
    return [replace(one, board=replace(one.board, dataset="mvtec", split=split))]


def test_measured_numbers_stand_beside_the_papers(results: Path, site: Path) -> None:
    one = sheet(boards(read(results))[0])
    table = next(t for t in paper_tables("tailedcore", [one]) if t.table.table == 1)
    row = next(row for row in table.rows if row.cells[0] is not None and row.cells[0].measured is not None)
    cell = row.cells[0]
    assert cell is not None
    assert cell.measured is not None
    assert cell.pair.delta == pytest.approx(100 * cell.measured.number.mean - cell.pair.printed.value)
    text = whole(site / "papers.html")
    assert f"{cell.measured.board}.runs.html#{cell.measured.entry.anchor}" in text
    rows = pd.read_csv(site / "data" / "papers.csv", dtype={"config_digest": str})
    assert len(rows) == len(re.findall(r'<span class="here">', text)) > 0
    assert np.allclose(rows["measured"] - rows["printed"], rows["delta"], atol=0.01)
    own = rows[(rows["table"] == 1) & (rows["printed_method"] == cell.pair.printed.printed_method)]
    assert own["measured"].iloc[0] == pytest.approx(100 * cell.measured.number.mean, rel=1e-4)


def test_summary_keeps_five_digits(results: Path, site: Path) -> None:
    stored = pd.read_parquet(site / "data" / "summary.parquet")
    one = sheet(boards(read(results))[0])
    means = [n.mean for t in (*one.metrics, *one.classes) for line in t.lines for n in line.numbers]
    expected = np.array([np.nan if mean is None else mean for mean in means])
    assert np.allclose(stored["mean"], expected, rtol=5e-6, equal_nan=True)
