"""CSV, LaTeX and BibTeX say what the tables say."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from generated_results import generate
from hypothesis import given
from hypothesis import strategies as st

from ltbench.reports.boards import boards
from ltbench.reports.export import bibtex, latex, to_csv, to_latex
from ltbench.reports.leaderboard import Sheet, sheet
from ltbench.reports.material import read
from ltbench.reports.site import build_site
from ltbench.reports.writing import subscript


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("results"), boards=[("synthetic", "step_k4")], gallery=0)


@pytest.fixture(scope="module")
def board_sheet(results: Path) -> Sheet:
    return sheet(boards(read(results))[0])


def test_csv_has_every_number_of_the_table(board_sheet: Sheet) -> None:
    for table in (*board_sheet.metrics, *board_sheet.classes, board_sheet.cost):
        rows = list(csv.DictReader(io.StringIO(to_csv(table))))
        assert [row["config_digest"] for row in rows] == [
            line.entry.config_digest[:10] for line in table.lines
        ]
        for row, line in zip(rows, table.lines, strict=True):
            for number, column in zip(line.numbers, table.columns, strict=True):
                for text, value in ((row[column.key], number.mean), (row[f"{column.key}.sd"], number.sd)):
                    assert (text == "") == (value is None)
                    assert value is None or float(text) == pytest.approx(value, rel=1e-4)
            assert bool(row["why_empty"]) == any(number.mean is None for number in line.numbers)


def test_latex_rows_have_as_many_cells_as_the_head(board_sheet: Sheet) -> None:
    for table in (*board_sheet.metrics, *board_sheet.classes, board_sheet.cost):
        lines = [line for line in to_latex(table).splitlines() if line.endswith(r"\\")]
        assert len(lines) == 1 + len(table.lines)
        assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(table.columns)}


def test_latex_prints_best_bold_next_underlined_and_holes_as_dashes(board_sheet: Sheet) -> None:
    table = next(table for table in board_sheet.metrics if table.title == "Pixel AUROC")
    rows = {line.split(" & ")[0]: line for line in to_latex(table).splitlines() if line.endswith(r"\\")}
    for line in table.lines:
        printed = next(row for name, row in rows.items() if name.startswith(latex(line.entry.label)))
        assert printed.count(r"\textbf") == sum(number.mark == "best" for number in line.numbers)
        assert printed.count(r"\underline") == sum(number.mark == "second" for number in line.numbers)
        assert printed.count(" -- ") == sum(number.mean is None for number in line.numbers)
    assert any("2 of 3 seeds" in name for name in rows)


def test_a_category_whose_name_looks_like_a_subscript_is_escaped(board_sheet: Sheet) -> None:
    table = board_sheet.classes[0]
    columns = [replace(table.columns[0], title=title) for title in ("C_t", "&_1", "A_1")]
    head = to_latex(replace(table, columns=columns, lines=[])).splitlines()[7]
    assert head == r"Method & $C_t$ & \&\_1 & A\_1 \\"
    assert [str(subscript(one.title)) for one in columns] == ["C<sub>t</sub>", "&amp;_1", "A_1"]


def test_latex_compiles(board_sheet: Sheet, tmp_path: Path) -> None:
    program = shutil.which("pdflatex") or shutil.which("tectonic")
    if program is None:
        pytest.skip("no LaTeX is installed")
    tables = "\n".join(to_latex(table) for table in (*board_sheet.metrics, board_sheet.cost))
    text = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{tables}\end{{document}}"
    (tmp_path / "t.tex").write_text(text)
    subprocess.run([program, "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True)


@given(st.text(alphabet="a_%&#${}~^\\", max_size=20))
def test_escaped_text_has_no_bare_special_character(text: str) -> None:
    bare = latex(text)
    for command in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}"):
        bare = bare.replace(command, "")
    bare = re.sub(r"\\[&%$#_{}]", "", bare)
    assert bare == "a" * text.count("a")


def test_bibtex_has_each_entry_once(board_sheet: Sheet) -> None:
    text = bibtex(board_sheet.board)
    keys = re.findall(r"@\w+\{([^,]+),", text)
    assert len(keys) == len(set(keys))
    assert {"synthetic", "patchcore2022", "tailedcore2022"} <= set(keys)
    assert text.count("{") == text.count("}")


def test_files_of_a_site_hold_every_table_and_every_run(
    results: Path, board_sheet: Sheet, tmp_path: Path
) -> None:
    build_site(results, tmp_path / "site")
    data = tmp_path / "site" / "data"
    tables = (*board_sheet.metrics, *board_sheet.classes)
    with zipfile.ZipFile(data / "synthetic--step_k4.zip") as archive:
        names = set(archive.namelist())
        for table in tables:
            assert archive.read(f"{table.name}.csv").decode() == to_csv(table)
            assert f"{table.name}.tex" in names
        for path in (*data.glob("synthetic*.csv"), *data.glob("synthetic*.tex")):
            assert archive.read(path.name) == path.read_bytes()
    stored = pd.read_parquet(data / "summary.parquet")
    assert len(stored) == sum(len(table.lines) * len(table.columns) for table in tables)
    assert (stored["mean"].isna() == (stored["why"] != "")).all()
    expected = [number.mean for table in tables for line in table.lines for number in line.numbers]
    assert stored["mean"].tolist() == pytest.approx(
        [np.nan if v is None else v for v in expected], rel=5e-6, nan_ok=True
    )
    assert len(pd.read_parquet(data / "runs.parquet")) == len(list(results.rglob("cell.json")))
