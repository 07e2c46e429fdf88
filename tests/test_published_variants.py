"""A configuration is known by the papers' name for it, and its numbers stand beside that row."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from generated_records import METHODS, FakeMethod
from generated_results import generate
from packed_pages import whole

from ltbench.benchmark import suites
from ltbench.methods import catalog
from ltbench.reports.boards import boards
from ltbench.reports.comparison import compare
from ltbench.reports.leaderboard import sheet
from ltbench.reports.material import read
from ltbench.reports.papers import PaperTable, paper_tables
from ltbench.reports.site import build_site
from ltbench.results.published import cells, printed_as, published, table

MAIN_SUITES = [
    name for name in suites.names() if name.startswith(("ltad-", "meds-")) and not name.endswith("-ablations")
]


def rows_of(suite: str) -> list[tuple[str, str, str]]:
    """(label, method, printed name) of a suite's rows, as their records will have them."""
    found = []
    for row in suites.load(suite).methods:
        config = catalog.config(catalog.create(row.name, **row.fields))
        found.append((row.label, row.name, printed_as(row.name, config).method))
    return found


def printed_names(paper: str) -> dict[tuple[int, str], str]:
    """Method by table and printed row of all ablations of a paper."""
    return {
        (cell.table, cell.printed_method): cell.method
        for cell in cells(paper)
        if table(cell.paper, cell.table).kind == "ablation"
    }


def test_every_row_of_ltads_ablations_is_the_printed_row_of_its_label() -> None:
    printed = {row: name for (_, row), name in printed_names("ltad").items()}
    seen = set()
    for label, _, name in rows_of("ltad-ablations"):
        numbers = re.findall(r"\b([678]\.\d)\b", label)
        pairs = re.findall(r"Table 9: ([^,)]+), ([^,)]+)", label)
        wanted = [row for row in printed if row.split()[0] in numbers]
        wanted += [f"{normal} / {abnormal}" for normal, abnormal in pairs]
        seen |= set(wanted)
        if wanted:
            assert {printed[row] for row in wanted} == {name}, label
        else:
            # Figure 6 prints no numbers, Table 3 is no ablation.
            assert name == ("ltad" if label.startswith("Table 3") else ""), label
    assert seen == set(printed)


def test_every_row_of_meds_tables_4_and_5_has_a_configuration_in_the_suite() -> None:
    names = [name for _, _, name in rows_of("meds-ablations")]
    printed = set(printed_names("meds").values())
    assert set(names) - {""} == printed
    # Text, official code and ours may all stand for the paper's row; what its figures vary may not.
    assert names.count("dinomaly+meds") == 3
    assert names.count("meds: memory ensemble") == 2
    assert len(names) - names.count("") == len(printed) + 3


@pytest.mark.parametrize("suite", MAIN_SUITES)
def test_rows_of_the_papers_suites_have_a_printed_name(suite: str) -> None:
    assert all(name for _, _, name in rows_of(suite))


def test_the_papers_text_comes_before_the_official_code_and_our_own_settings() -> None:
    presets = ("paper", "official_code", "ours")
    names = [printed_as("meds", catalog.config(catalog.create("meds", preset=preset))) for preset in presets]
    assert [name.order for name in names] == [0, 1, 2]
    assert {name.method for name in names} == {"dinomaly+meds"}


def test_a_setting_that_no_table_has_is_no_printed_row() -> None:
    assert printed_as("ltad", {"name_length": 4, "score_parts": "reconstruction"}).method == ""
    assert printed_as("meds", {"preset": "paper", "k": 2.0, "draws": 100}).method == ""
    assert printed_as("patchcore", {"coreset_ratio": 0.5}).method == "patchcore"


def variant(method: str, level: float, **fields: object) -> FakeMethod:
    return FakeMethod(method, method.upper(), "reconstruction", level, level, fields=fields)


LTAD = (
    variant("ltad", 0.86, score_parts="reconstruction", sampling="inverse"),
    variant("ltad", 0.80, score_parts="semantic"),
    variant("ltad", 0.95, score_parts="reconstruction", name_length=4),
    variant("ltad", 0.85, score_parts="both"),
)
MEDS = (
    variant("meds", 0.80, host="dinomaly", preset="paper", draws=100, k=1.0),
    variant("meds", 0.95, host="dinomaly", preset="ours", draws=0, k=1.0),
    variant("meds", 0.70, host="inpformer", preset="paper", draws=100, k=1.0, stop_after="distillation"),
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    generate(root, boards=[("mvtec", "ltad_step100")], methods=(METHODS[0], *LTAD), gallery=0)
    return generate(root, boards=[("mvtec", "meds_nr10")], methods=(METHODS[0], *MEDS), seeds=(0,), gallery=0)


@pytest.fixture(scope="module")
def printed_tables(results: Path) -> dict[tuple[str, int], PaperTable]:
    sheets = [sheet(board) for board in boards(read(results))]
    found = (one for paper in ("ltad", "meds") for one in paper_tables(paper, sheets))
    return {(one.table.paper, one.table.table): one for one in found}


def measured(one: PaperTable) -> dict[str, set[str]]:
    """By printed row that something stands beside: configurations it comes from."""
    return {
        row.method: {
            cell.measured.entry.config_digest
            for cell in row.cells
            if cell is not None and cell.measured is not None
        }
        for row in one.rows
        if any(cell is not None and cell.pair.delta is not None for cell in row.cells)
    }


def test_measured_variants_stand_beside_their_own_row(
    printed_tables: dict[tuple[str, int], PaperTable],
) -> None:
    inverse, semantic, _, whole = (method.config_digest for method in LTAD)
    assert measured(printed_tables["ltad", 6]) == {"6.4 LTAD": {inverse}}
    assert measured(printed_tables["ltad", 7]) == {"7.4 LTAD": {semantic}}
    assert measured(printed_tables["ltad", 8]) == {"8.3 LTAD": {semantic}}
    assert measured(printed_tables["ltad", 9]) == {"a / a broken": {semantic}}
    assert measured(printed_tables["ltad", 3]) == {"LTAD": {whole}}
    assert measured(printed_tables["meds", 5]) == {"Distilled model": {MEDS[2].config_digest}}


def test_of_several_configurations_the_papers_own_is_taken_and_not_the_luckiest(
    printed_tables: dict[tuple[str, int], PaperTable],
) -> None:
    for number in (1, 4):
        assert {MEDS[0].config_digest} in measured(printed_tables["meds", number]).values()


def test_the_delta_of_an_ablation_is_measured_minus_printed(
    results: Path, printed_tables: dict[tuple[str, int], PaperTable]
) -> None:
    row = next(row for row in printed_tables["ltad", 6].rows if row.method == "6.4 LTAD")
    cell = next(cell for cell in row.cells if cell is not None and cell.pair.delta is not None)
    one = next(sheet(board) for board in boards(read(results)) if board.split == "ltad_step100")
    line = next(line for line in one.metrics[0].lines if line.entry.config_digest == LTAD[0].config_digest)
    at = [column.key for column in one.metrics[0].columns].index("image_auroc.all")
    assert cell.pair.printed.value == published_value("6.4 LTAD")
    assert cell.pair.delta == pytest.approx(100 * line.numbers[at].mean - published_value("6.4 LTAD"))
    moved = dataclasses.replace(line.numbers[at], mean=cell.pair.printed.value / 100, sd=0.0)
    assert dataclasses.replace(cell.pair, measured=moved).verdict == "equal"


def published_value(row: str) -> float:
    return next(
        cell.value
        for cell in cells("ltad")
        if (cell.table, cell.printed_method, cell.metric, cell.category) == (6, row, "image_auroc", "all")
    )


def test_the_board_compares_a_variant_with_its_row_and_not_with_the_method(results: Path) -> None:
    one = next(sheet(board) for board in boards(read(results)) if board.split == "ltad_step100")
    found = {line.entry.config_digest: line for line in compare(one) if line.entry is not None}
    # Four names of vectors have no printed number: nothing stands beside them.
    assert set(found) == {LTAD[at].config_digest for at in (0, 1, 3)}
    names = [{pair.printed.method for pair in found[LTAD[at].config_digest].pairs} for at in (0, 1, 3)]
    assert names == [{"LTAD 6.4"}, {"LTAD w/o RM"}, {"ltad"}]
    others = {line.method for line in compare(one) if line.entry is None}
    assert "ltad" not in others
    assert not any(name.startswith("LTAD 6") for name in others)


def test_pages_show_printed_measured_and_badge(results: Path, tmp_path: Path) -> None:
    build_site(results, tmp_path / "site")
    text = whole(tmp_path / "site" / "papers.html")
    table6 = text[text.index('id="ltad-6"') : text.index('id="ltad-7"')]
    # The generated split has no Low and High: All of two metrics.
    assert table6.count('class="badge') == 2
    assert f"{published_value('6.4 LTAD'):.2f}" in table6
    assert f"mvtec--ltad_step100.runs.html#ltad-{LTAD[0].config_digest[:10]}" in table6
    page = whole(tmp_path / "site" / "mvtec--ltad_step100.published.html")
    assert "LTAD, Table 6" in page


def test_a_variant_has_the_number_of_its_row() -> None:
    cell = published("mvtec", "ltad_step100", "LTAD 6.4", "image_auroc")
    assert cell is not None
    assert (cell.value, cell.source) == (86.06, "LTAD, Table 6")
