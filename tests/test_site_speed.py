"""The page "Speed": there only where something was measured, and it says what the file says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from generated_results import generate

from ltbench.reports.pages.performance import comparisons
from ltbench.reports.site import build_site
from ltbench.results.errors import ResultsError
from ltbench.results.performance import PERFORMANCE_FILE, read_performance, write_performance

NOTHING = {
    "seconds": None,
    "rounds": 0,
    "ratio": None,
    "peak_mb": None,
    "memory_ratio": None,
    "difference": None,
}
EMPTY = {"verdict": "", "target": "", "limit": "", "share": None, "answer": "{}"}


def row(side, ours=False, comparison="pixel metrics 256", **more):
    facts = {"comparison": comparison, "size": "AUROC of 120 maps", "side": side, "ours": ours}
    when = {"measured_at": "2026-01-02T03:04:05+00:00", "load": "0.5"}
    return {**facts, **NOTHING, **EMPTY, **when, **more}


ROWS = [
    row("ltbench", True, seconds=0.1, rounds=9, ratio=1.0, peak_mb=42.0, limit="one sort (sort)", share=0.5),
    row("peer <A>", seconds=8.34, rounds=2, ratio=83.4, memory_ratio=14.7, difference=1e-16, verdict="ok",
        target="60x faster"),
    row("slow start", seconds=0.2, ratio=2.0, target="60x faster", verdict="wanted 60x faster"),
    row("absent", verdict="not installed: adeval"),
    row("ltbench", True, comparison="streamed", seconds=116.0, verdict="ok", target="below 2 GiB"),
]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    generate(root, boards=[("mvtec", "step_k4")], seeds=(1,))
    return root


def measured(root: Path, is_brief: bool = False, accelerator: str = "") -> None:
    write_performance(
        root / PERFORMANCE_FILE,
        ROWS,
        machine={"processor": "Some CPU", "load": "3.0", "numpy": "2.4", "accelerator": accelerator},
        ceilings={"sort": "150 million float32 keys/s"},
        is_brief=is_brief,
    )


def test_what_was_written_is_read_again(tmp_path):
    assert read_performance(tmp_path / PERFORMANCE_FILE) is None
    measured(tmp_path)
    found = read_performance(tmp_path / PERFORMANCE_FILE)
    assert list(found.rows["side"]) == [each["side"] for each in ROWS]
    assert found.rows["ratio"].tolist()[1] == 83.4
    assert found.machine["processor"] == "Some CPU"
    assert not found.is_brief


def test_a_damaged_file_is_an_error_with_its_name(tmp_path):
    (tmp_path / PERFORMANCE_FILE).write_bytes(b"no parquet")
    with pytest.raises(ResultsError, match=r"cannot read .*performance\.parquet"):
        read_performance(tmp_path / PERFORMANCE_FILE)


def test_sides_stand_under_their_comparison_with_their_verdicts(tmp_path):
    measured(tmp_path)
    first, second = comparisons(read_performance(tmp_path / PERFORMANCE_FILE))
    assert [side.verdict for side in first.sides] == ["", "met", "missed", ""]
    assert [side.word for side in first.sides] == ["", "", "wanted 60x faster", "not installed: adeval"]
    assert [side.ratio for side in first.sides] == ["1.00", "83.4", "2.00", ""]
    assert first.limit == "one sort (sort): 50 % of it is reached"
    assert [side.verdict for side in second.sides] == ["met"]


def test_the_page_exists_only_with_measurements(results, tmp_path):
    out = tmp_path / "site"
    build_site(results, out)
    assert not (out / "performance.html").exists()
    assert "Speed" not in (out / "index.html").read_text()
    measured(results)
    build_site(results, out)
    page = (out / "performance.html").read_text()
    assert '<a href="performance.html">Speed</a>' in (out / "index.html").read_text()
    assert (out / "data" / PERFORMANCE_FILE).read_bytes() == (results / PERFORMANCE_FILE).read_bytes()
    assert "peer &lt;A&gt;" in page
    assert re.search(r"<td>83\.4</td>", page)
    assert "small inputs" not in page
    assert "Some CPU" in page
    assert "AUROC of 120 maps" in page
    assert "wall time" not in page
    measured(results, is_brief=True, accelerator="Some GPU")
    build_site(results, out)
    page = (out / "performance.html").read_text()
    assert "small inputs" in page
    assert "wall time on Some GPU" in page
