"""The site is made of results alone, says what is missing, and refuses to mix protocols."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from generated_records import CATEGORIES, METHODS, record_of, split_record, tail_of
from generated_records import metric_rows as rows_of
from generated_results import generate, write_cell
from packed_pages import whole

from ltbench.reports.boards import boards
from ltbench.reports.leaderboard import sheet
from ltbench.reports.material import read
from ltbench.reports.site import SiteReport, build_site
from ltbench.results.errors import ResultsError
from ltbench.results.status import Status
from ltbench.results.store import Store

VOID = {"meta", "link", "br", "img", "input", "hr"}
OPTIONAL = {"td", "tr", "th", "li", "dt", "dd"}
"""End tags that HTML lets a writer leave out."""


class Reader(HTMLParser):
    """Identifiers, addresses, and whether tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.identifiers: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.identifiers.append(str(values["id"]))
        self.addresses += [str(values[name]) for name in ("href", "src") if values.get(name)]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL:
            self.open.pop()
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parse(path: Path) -> Reader:
    reader = Reader()
    reader.feed(whole(path))
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("results"), gallery=3)


@pytest.fixture(scope="module")
def built(results: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SiteReport]:
    out = tmp_path_factory.mktemp("site") / "site"
    return out, build_site(results, out)


def test_report_counts_what_lies_in_the_folder(built: tuple[Path, SiteReport]) -> None:
    out, report = built
    assert report.pages == len(list(out.rglob("*.html"))) > 8
    assert report.bytes == sum(
        path.stat().st_size for path in out.rglob("*") if path.is_file() and not path.name.startswith(".")
    )
    assert report.warnings == ()


def test_every_link_leads_to_a_file_and_an_anchor_of_the_site(built: tuple[Path, SiteReport]) -> None:
    out, _ = built
    pages = {path.name: parse(path) for path in out.glob("*.html")}
    for name, page in pages.items():
        assert len(page.identifiers) == len(set(page.identifiers)), f"{name} repeats an id"
        for address in page.addresses:
            if address.startswith("data:,"):
                continue
            assert not re.match(r"[a-z]+:|//", address), f"{name} leaves the site: {address}"
            file, _, anchor = address.partition("#")
            assert (out / (file or name)).is_file(), f"{name}: {address}"
            if anchor:
                assert anchor in pages[file or name].identifiers, f"{name}: {address}"


def test_styles_and_scripts_load_nothing(built: tuple[Path, SiteReport]) -> None:
    out, _ = built
    for path in (out / "static").iterdir():
        assert not re.search(r"https?:|//[a-z]|@import|url\(|\bfetch\(|XMLHttpRequest", path.read_text()), (
            path.name
        )


def test_means_are_over_categories_then_over_seeds(results: Path) -> None:
    """Against pandas on the stored rows."""
    frame = Store(results).metrics()
    rows = frame[
        (frame["split"] == "step_k4") & (frame["method"] == "softpatch") & (frame["metric"] == "image_ap")
    ]
    board = next(board for board in boards(read(results)) if board.split == "step_k4")
    table = next(table for table in sheet(board).metrics if table.title == "Image AP")
    line = next(line for line in table.lines if line.entry.method == "softpatch")
    shown = dict(zip((column.key for column in table.columns), line.numbers, strict=True))
    for group in ("tail", "head"):
        per_seed = rows[rows["group"] == group].groupby("seed")["value"].mean()
        assert shown[f"image_ap.{group}"].mean == pytest.approx(per_seed.mean(), abs=1e-12)
        assert shown[f"image_ap.{group}"].sd == pytest.approx(per_seed.std(), abs=1e-12)
    every = rows.groupby("seed")["value"].mean()
    assert shown["image_ap.all"].mean == pytest.approx(every.mean(), abs=1e-12)
    by_group = rows.groupby(["seed", "group"])["value"].mean().unstack()
    gap = by_group["head"] - by_group["tail"]
    assert shown["image_ap.gap"].mean == pytest.approx(gap.mean(), abs=1e-12)
    assert shown["image_ap.gap"].sd == pytest.approx(gap.std(), abs=1e-12)
    bolt = rows[rows["category"] == "bolt"]["value"]
    classes = next(table for table in sheet(board).classes if table.title == "Image AP")
    line = next(line for line in classes.lines if line.entry.method == "softpatch")
    column = [column.title for column in classes.columns].index("bolt")
    assert line.numbers[column].mean == pytest.approx(bolt.mean(), abs=1e-12)


def test_one_missing_category_leaves_no_mean_and_the_page_says_why(tmp_path: Path) -> None:
    store, method = Store(tmp_path / "results"), METHODS[1]
    for seed in (1, 2):
        split = split_record("synthetic", "pareto", seed, CATEGORIES, "paper")
        record = record_of(method, split, Status.OK, "", "paper")
        rows = rows_of(method, record, np.random.default_rng(seed))
        for row in rows:
            if seed == 2 and row["metric"] == "pixel_auroc" and row["category"] == "wood":
                row.update(value=None, why="no defect of wood lies inside the view")
        write_cell(store, method, record, rows)
    build_site(tmp_path / "results", tmp_path / "site")
    summary = pd.read_parquet(tmp_path / "site" / "data" / "summary.parquet")
    mine = summary[(summary["metric"] == "pixel_auroc")].set_index(["group", "category"])
    group = "tail" if "wood" in tail_of("synthetic", "pareto", 2, CATEGORIES) else "head"
    other = {"tail": "head", "head": "tail"}[group]
    assert mine.loc[[("all", ""), (group, ""), ("", "wood")], "mean"].isna().all()
    assert (
        mine.loc[("all", ""), "why"]
        == "no value for wood with seed 2: no defect of wood lies inside the view"
    )
    assert 0 < float(mine.loc[(other, ""), "mean"]) < 1
    text = (tmp_path / "site" / "synthetic--pareto.html").read_text()
    assert "no defect of wood lies inside the view" in text


def test_failed_unfinished_and_missing_runs_are_shown_and_not_ranked(built: tuple[Path, SiteReport]) -> None:
    out, _ = built
    text = (out / "synthetic--step_k4.html").read_text()
    assert "CUDA out of memory: tried to allocate 2.4 GiB" in text
    rows = dict(re.findall(r'<tr id="([a-z]+)-[0-9a-f]{10}"(.*)', text))
    assert "unranked" in rows["funad"]
    assert ">oom<" in rows["funad"]
    assert "unranked" in rows["winclip"]
    assert ">unfinished<" in rows["winclip"]
    assert "unranked" in rows["inreach"]
    assert ">not run<" in rows["inreach"]
    for name in ("funad", "winclip", "inreach", "chance"):
        assert '<td class="rank"></td>' in rows[name].replace(
            '<td class="rank"><th', '<td class="rank"></td><th'
        )
        assert ' class="b"' not in rows[name]
    assert '<td class="rank">1<' in rows["tailedcore"]


def test_best_is_the_highest_ranked_mean(results: Path) -> None:
    for board in boards(read(results)):
        for table in sheet(board).metrics:
            for position, column in enumerate(table.columns):
                if column.is_marked:
                    ranked = [line for line in table.lines if line.entry.is_ranked]
                    best = max(ranked, key=lambda line: line.numbers[position].mean or 0.0)
                    assert (best.numbers[position].mark == "best") == (column.note == "")


def test_cell_of_another_protocol_is_listed_apart(tmp_path: Path) -> None:
    root = generate(tmp_path / "results", boards=[("synthetic", "pareto")], gallery=0)
    store, method = Store(root), METHODS[3]
    for name, change in {
        "view": lambda record: record["identity"].update(view="resize256-crop256"),
        "split": lambda record: record["identity"].update(split_digest="0" * 64),
        "recipe": lambda record: record["metrics"]["aupro"].update(recipe="200 linear thresholds"),
    }.items():
        split = split_record("synthetic", "pareto", 1, CATEGORIES, "paper")
        record = json.loads(json.dumps(record_of(method, split, Status.OK, "", "paper")))
        record["identity"]["config_digest"] = name * 12
        change(record)
        folder = store.folder("synthetic", "pareto", 1, f"{method.name}-{name}", name * 12)
        odd = type(method)(**{**method.__dict__, "name": f"{method.name}-{name}"})
        write_cell(store, odd, record, rows_of(method, record, np.random.default_rng(0)))
        assert folder.parent.exists()
    report = build_site(root, tmp_path / "site")
    assert len(report.warnings) == 3
    text = (tmp_path / "site" / "synthetic--pareto.html").read_text()
    assert "3 runs of another protocol" in text
    assert "resize256-crop256" in text
    assert "200 linear thresholds" in text
    board = boards(read(root))[0]
    assert {entry.config_digest for entry in board.entries} == {m.config_digest for m in METHODS}


def test_overlap_policies_are_boards_of_their_own(tmp_path: Path) -> None:
    for overlap in ("paper", "none"):
        method = METHODS[1]
        split = split_record("synthetic", "pareto", 1, CATEGORIES, overlap)
        record = record_of(method, split, Status.OK, "", overlap)
        named = type(method)(
            **{**method.__dict__, "fields": {"coreset_ratio": 0.1 if overlap == "paper" else 0.2}}
        )
        record["identity"]["config_digest"] = named.config_digest
        write_cell(Store(tmp_path / "r"), named, record, rows_of(method, record, np.random.default_rng(0)))
    assert [board.name for board in boards(read(tmp_path / "r"))] == [
        "synthetic--pareto--overlap-none",
        "synthetic--pareto",
    ]
    assert build_site(tmp_path / "r", tmp_path / "site").warnings == ()


def test_empty_results_say_what_to_run(tmp_path: Path) -> None:
    report = build_site(tmp_path / "nothing", tmp_path / "site")
    assert report.pages >= 3
    assert "ltbench bench" in (tmp_path / "site" / "index.html").read_text()


def test_a_site_is_replaced_and_another_folder_is_not(tmp_path: Path) -> None:
    results = tmp_path / "nothing"
    build_site(results, tmp_path / "site")
    (tmp_path / "site" / "old.html").write_text("")
    build_site(results, tmp_path / "site")
    assert not (tmp_path / "site" / "old.html").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(ResultsError, match="mine"):
        build_site(results, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_same_results_make_the_same_bytes(
    results: Path, built: tuple[Path, SiteReport], tmp_path: Path
) -> None:
    out, _ = built
    build_site(results, tmp_path / "again")
    for path in sorted(out.rglob("*.html")):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(out)).read_bytes(), path.name


def test_a_damaged_cell_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    root = generate(tmp_path / "results", boards=[("synthetic", "pareto")], gallery=0, seeds=(1,))
    path = next(root.rglob("metrics.parquet"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ResultsError, match=re.escape(str(path))):
        build_site(root, tmp_path / "site")


def test_texts_of_records_are_escaped(tmp_path: Path) -> None:
    method = type(METHODS[1])(
        name="patchcore",
        title="<script>alert(1)</script>",
        family="x",
        tail=0.8,
        head=0.8,
        fields={"a": '"><u>'},
    )
    generate(tmp_path / "r", boards=[("synthetic", "pareto")], methods=(method,), gallery=0)
    build_site(tmp_path / "r", tmp_path / "site")
    for path in (tmp_path / "site").glob("*.html"):
        assert "<script>alert" not in whole(path)
        assert '"><u>' not in whole(path)
