"""The published number beside a measured one."""

from __future__ import annotations

import random

import pytest

from ltbench.results.published import cells, column, published, table

ABLATION = "ablation"


@pytest.mark.parametrize(
    ("dataset", "split", "method", "metric", "group", "percent", "source"),
    [
        ("mvtec", "pareto", "tailedcore", "image_auroc", "tail", 96.55, "TailedCore, Table 1"),
        ("visa", "step_k4", "patchcore", "pixel_auroc", "all", 81.88, "TailedCore, Table 4"),
        ("mvtec", "ltad_exp100", "ltad", "image_auroc", "all", 88.86, "LTAD, Table 3"),
        ("mvtec", "ltad_exp100", "ltad", "image_auroc", "low", 79.90, "LTAD, Table 10"),
        ("dagm", "ltad_reverse_step200", "uniad", "image_auroc", "Class6", 99.98, "LTAD, Table 48"),
        ("mvtec", "meds_nr40", "dinomaly+meds", "image_auroc", "all", 99.16, "MeDS, Table 1"),
        ("mvtec", "meds_nr40", "dinomaly+meds", "image_auroc", "cable", 96.7, "MeDS, Table 12"),
        ("realiad", "fuiad_nr20", "softpatch", "aupro", "zipper", 96.1, "MeDS, Table 27"),
        (
            "mvtec",
            "step_k1_ablation_nr40",
            "patchcore",
            "pixel_auroc",
            "all",
            64.00506667,
            "TailedCore, Noise-ratio figure (authors' logs)",
        ),
    ],
)
def test_numbers_are_found_where_the_paper_prints_them(
    dataset: str, split: str, method: str, metric: str, group: str, percent: float, source: str
) -> None:
    cell = published(dataset, split, method, metric, group)
    assert cell is not None
    assert (cell.value, cell.source) == (percent, source)
    assert cell.fraction == pytest.approx(percent / 100)


def test_what_no_paper_prints_is_none() -> None:
    assert published("mvtec", "pareto", "ltad", "image_auroc") is None
    assert published("synthetic", "step_k4", "patchcore", "image_auroc") is None
    assert column("synthetic", "step_k4", "image_auroc") == {}


def test_an_undoubted_number_wins_over_a_doubted_one() -> None:
    main = published("visa", "ltad_step100", "anomalygpt", "image_auroc")
    assert main is not None
    assert (main.value, main.table) == (71.89, 24)
    host = published("visa", "meds_nr00", "inpformer+meds", "pixel_ap")
    assert host is not None
    assert (host.value, host.suspicious) == (43.6, False)


def test_a_doubted_number_without_another_reading_says_so() -> None:
    cell = published("mvtec", "ltad_exp100", "regad", "image_auroc", "high")
    assert cell is not None
    assert (cell.value, cell.suspicious, cell.note) == (90.04, True, "the classes give 96.04")


def test_ablation_rows_are_not_the_method() -> None:
    cell = published("mvtec", "ltad_step100", "uniad", "image_auroc", "high")
    assert cell is not None
    assert (cell.table, cell.value) == (14, 99.52)


def test_the_clean_split_is_the_papers_ratio_zero() -> None:
    cell = published("mvtec", "clean", "hvq", "aupro")
    assert cell is not None
    assert cell == published("mvtec", "meds_nr00", "hvq", "aupro")
    assert column("visa", "clean", "aupro") == column("visa", "meds_nr00", "aupro")


def test_the_noise_ablation_at_ten_percent_has_the_main_tables_numbers() -> None:
    cell = published("mvtec", "pareto_ablation_nr10", "softpatch", "image_auroc")
    assert cell is not None
    # The figure's 89.09 is another run.
    assert (cell.value, cell.table) == (87.71, 1)
    assert cell == published("mvtec", "pareto", "softpatch", "image_auroc")
    assert set(column("mvtec", "pareto_ablation_nr40", "image_auroc")) == {
        "patchcore", "softpatch", "tailedcore",
    }  # fmt: skip


def test_the_look_up_agrees_with_a_search_through_all_cells() -> None:
    candidates = [cell for cell in cells() if table(cell.paper, cell.table).kind != ABLATION]
    for asked in random.Random(0).sample(candidates, 60):
        same = [
            cell
            for cell in candidates
            if (cell.dataset, cell.split, cell.method, cell.metric, cell.category)
            == (asked.dataset, asked.split, asked.method, asked.metric, asked.category)
        ]
        same = [cell for cell in same if table(cell.paper, cell.table).kind != "figure"] or same
        trusted = [cell for cell in same if not cell.suspicious] or same
        precise = max(table(cell.paper, cell.table).decimals for cell in trusted)
        best = [cell for cell in trusted if table(cell.paper, cell.table).decimals == precise]
        found = published(asked.dataset, asked.split, asked.method, asked.metric, asked.category)
        assert found == min(best, key=lambda cell: cell.table)


def test_a_column_holds_every_method_of_the_table() -> None:
    found = column("mvtec", "step_k1", "pixel_auroc", "head")
    assert set(found) == {
        "padim", "hvq", "winclip", "anomalyclip", "patchcore", "softpatch", "tailedcore",
    }  # fmt: skip
    assert found["softpatch"].value == 96.89
