"""The lint of the published tables: it finds what is known, nothing else, and what we break on purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ltbench.results.published import PublishedCell, cells, facts, load, printed, tables
from ltbench.results.published.document import document
from ltbench.results.published.finding import Finding, rows
from ltbench.results.published.lint import checks, lint
from ltbench.splits import recipes
from ltbench.splits.datasets import open_dataset

PAGE = Path(__file__).parents[1] / "docs" / "published_lint.md"


def places(paper: str, what: str) -> set[tuple[int, str]]:
    return {(finding.table, finding.row) for finding in lint(paper) if finding.what == what}


def one(paper: str, table: int, row: str, what: str) -> Finding:
    (finding,) = [
        each
        for each in lint(paper)
        if (each.table, each.row, each.what) == (table, row, what)
    ]  # fmt: skip
    return finding


# LTAD


def test_ltad_means_that_do_not_recompute() -> None:
    assert places("ltad", "mean") == {
        (10, "RegAD"), (11, "AnomalyGPT"), (14, "DRAEM"), (15, "DRAEM"), (21, "Ours w/o PTA"), (21, "Ours"),
        (39, "AnomalyGPT"), (45, "UniAD"),
        # Off by 0.02 to 0.04: more than rounding can do.
        (25, "Ours w/o PTA"), (31, "Ours w/o PTA"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "row", "where", "recomputed"),
    [
        (10, "RegAD", "High", "96.04"),
        (11, "AnomalyGPT", "All, Low", "89.62, 86.10"),
        (14, "DRAEM", "All, High", "76.42, 98.15"),
        (15, "DRAEM", "All, High", "80.87, 93.53"),
        (21, "Ours w/o PTA", "All, Low", "94.39, 94.91"),
        (21, "Ours", "All, High", "95.05, 94.41"),
        (39, "AnomalyGPT", "High", "76.40"),
        (45, "UniAD", "All", "89.01"),
    ],
)
def test_ltad_means_are_recomputed_as_by_hand(table: int, row: str, where: str, recomputed: str) -> None:
    finding = one("ltad", table, row, "mean")
    assert (finding.where, finding.recomputed) == (where, recomputed)


def test_ltad_lost_points_and_stray_spaces() -> None:
    assert places("ltad", "over 100") == {(15, "DRAEM"), (39, "AnomalyGPT")}
    assert places("ltad", "not a number") == {
        (18, "AnomalyGPT"), (18, "RegAD"), (18, "Ours w/o PTA"), (20, "UniAD"), (26, "Ours"),
        (27, "Ours w/o PTA"), (27, "Ours"),
    }  # fmt: skip


def test_ltad_headers_repeats_and_rows_that_never_change() -> None:
    assert places("ltad", "header") == {(number, "header") for number in (41, 43, 45, 47, 48)}
    assert places("ltad", "repeat") == {
        (10, "RegAD"), (11, "RegAD"), (29, "UniAD"), (10, "MKD"), (21, "Ours w/o PTA"), (31, "Ours w/o PTA"),
    }  # fmt: skip
    assert places("ltad", "never changes") == {(30, "RegAD"), (31, "RegAD")}


def test_a_repeated_class_value_explains_the_wrong_mean() -> None:
    assert "98.98" in one("ltad", 21, "Ours w/o PTA", "repeat").argument
    assert "98.52" in one("ltad", 31, "Ours w/o PTA", "repeat").argument


def test_ltad_main_text_against_the_supplement() -> None:
    assert places("ltad", "printed twice") == {
        (4, "AnomalyGPT"), (4, "UniAD"), (5, "RegAD"), (6, "6.1 UniAD"),
    }  # fmt: skip
    assert one("ltad", 5, "RegAD", "printed twice").verdict == "rounding"


def test_ltad_aggregates_recompute_within_five_hundredths_except_where_flagged() -> None:
    by_row: dict[tuple[object, ...], dict[str, PublishedCell]] = {}
    for cell in cells("ltad"):
        if cell.table >= 10:
            row = (cell.dataset, cell.split, cell.table, cell.method)
            by_row.setdefault(row, {})[cell.category] = cell
    assert len(by_row) == 212
    for (dataset, split, *_), values in by_row.items():
        order = facts.POPULARITY[str(dataset)][:: -1 if "reverse" in str(split) else 1]
        half = len(order) // 2
        for group, members in {"all": order, "high": order[:half], "low": order[half:]}.items():
            mean = np.mean([values[name].value for name in members])
            assert values[group].suspicious or abs(values[group].value - mean) <= 0.05


# TailedCore


def test_tailedcore_step_blocks() -> None:
    methods = {cell.printed_method for cell in cells("tailedcore") if cell.table == 1}
    wrong = [each for each in lint("tailedcore") if each.what == "step weights"]
    assert {(each.table, each.row) for each in wrong if each.where.startswith("step_k4")} == {
        (number, method) for number in (1, 3) for method in methods
    }
    assert {(each.table, each.row) for each in wrong if each.where.startswith("step_k1")} == {
        (3, "SoftPatch")
    }


def test_tailedcore_pareto_means_outside_their_groups() -> None:
    found = [each for each in lint("tailedcore") if each.what == "tail and head against all"]
    outside = {(each.table, each.row) for each in found if "outside" in each.recomputed}
    assert outside == {
        (1, "WinCLIP"), (1, "AnomalyCLIP"), (1, "SoftPatch"), (2, "HVQ"), (2, "PatchCore"),
        (3, "AnomalyCLIP"), (4, "PaDiM"),
    }  # fmt: skip
    inside = {(each.table, each.row) for each in found} - outside
    assert inside == {(1, "HVQ"), (1, "PatchCore"), (3, "PatchCore")}
    impossible = {(each.table, each.row) for each in found if each.verdict == "contradiction"}
    assert impossible == {(2, "HVQ"), (4, "PaDiM")}
    assert "next column" in one("tailedcore", 2, "HVQ", "tail and head against all").argument


# MeDS


def test_meds_means_captions_and_copies() -> None:
    assert places("meds", "mean") == {(25, "SoftPatch"), (27, "SoftPatch")}
    assert places("meds", "deviation") == {(30, "+ MeDS")}
    assert places("meds", "caption") == {(12, "caption"), (13, "caption")}
    assert places("meds", "copied row") == {(12, "SoftPatch"), (13, "SoftPatch")}
    assert places("meds", "not a number") == {(23, "SoftPatch")}
    assert places("meds", "F1-max floor") == {(16, "InReach"), (18, "InReach"), (20, "InReach")}
    assert places("meds", "AP against AUROC") == {(22, "Dinomaly")}


def test_meds_main_text_against_the_appendix() -> None:
    assert places("meds", "printed twice") == {
        (1, "FUN-AD"), (1, "SoftPatch"), (1, "HVQ + MeDS (ours)"),
        (2, "FUN-AD"), (2, "SoftPatch"), (2, "INP-Former + MeDS (ours)"),
        (3, "SoftPatch"), (3, "RD"), (4, "Baseline"), (5, "Baseline"),
    }  # fmt: skip


def test_meds_means_recompute_within_their_last_digit_except_where_flagged() -> None:
    frame = load("meds")
    decimals = {each.table: each.decimals for each in tables() if each.paper == "meds"}
    row = ["table", "printed_method", "split", "metric"]
    means = frame[~frame["aggregate"]].groupby(row).value.mean().rename("recomputed").reset_index()
    compared = frame[frame.category == "all"].merge(means, on=row)
    assert len(compared) == 612 + 12
    units = compared.table.map(lambda number: 10.0 ** -decimals[number])
    agree = (compared.value - compared.recomputed).abs() <= units + 1e-9
    assert (agree | compared.suspicious).all()


def test_meds_counts_are_those_of_the_released_lists(tmp_path: Path) -> None:
    dataset = open_dataset("mvtec", tmp_path)
    for position, percent in enumerate(facts.MEDS_RATIOS):
        split = recipes.build(f"meds_nr{percent}", dataset, 0)
        injected = {image.path for image in split.injected}
        for category, (good, defects) in facts.MEDS_TRAINING.items():
            images = [image.path for image in split.train if image.category == category]
            assert len(images) == good + defects[position]
            assert len(injected & set(images)) == defects[position]


# Flags, page, and what we break on purpose


def test_suspicious_are_exactly_the_cells_that_findings_doubt() -> None:
    doubted = {name for finding in lint() for name in finding.doubted}
    assert {cell.name for cell in cells() if cell.suspicious} == doubted
    assert all(cell.note for cell in cells() if cell.suspicious or cell.corrected)


def test_the_page_is_the_lints_output() -> None:
    assert PAGE.read_text(encoding="utf-8") == document()
    page = document()
    assert all(finding.argument in page for finding in lint())


def test_checks_compare_something() -> None:
    empty = [(check.paper, check.title) for check in checks() if check.compared == 0]
    # TailedCore prints no number twice.
    assert [paper for paper, _ in empty] == ["tailedcore"]


# Cell -> (what is added to it, the check that has to see it).
CHANGED = {
    ("ltad", 12, "ltad_exp200", "MKD", "image_auroc", "tile"): (0.5, "mean"),
    ("ltad", 10, "ltad_exp100", "UniAD", "image_auroc", "toothbrush"): (0.06, "attainable"),
    ("ltad", 7, "ltad_step100", "7.2 LTAD", "pixel_auroc", "all"): (0.1, "weighted mean"),
    ("tailedcore", 2, "step_k4", "PaDiM", "image_auroc", "all"): (0.05, "step weights"),
    ("tailedcore", 2, "pareto", "PaDiM", "image_auroc", "all"): (10, "tail and head against all"),
    ("tailedcore", 4, "step_k1", "WinCLIP", "pixel_auroc", "all"): (0.01, "zero-shot"),
    ("meds", 8, "meds_nr10", "HVQ", "image_ap", "all"): (0.3, "mean"),
    ("meds", 30, "meds_nr10", "Dinomaly", "label_auprc", "std"): (0.1, "deviation"),
    ("meds", 30, "meds_nr10", "+ MeDS", "inspection_depth", "bottle"): (0.2, "inspection depth"),
    ("meds", 1, "meds_nr10", "HVQ", "image_auroc", "all"): (0.3, "printed twice"),
    ("meds", 6, "meds_nr00", "InReach", "image_f1max", "capsule"): (-2, "F1-max floor"),
}


def changed(cell: PublishedCell) -> PublishedCell:
    """The cell after all that we break: numbers, LTAD's header of Table 36, MeDS' captions 18 and 19."""
    if tuple(cell.name) in CHANGED:
        value = cell.value + CHANGED[tuple(cell.name)][0]
        return replace(cell, value=value, printed=f"{value:.2f}")
    if (cell.paper, cell.table) == ("ltad", 36) and not cell.aggregate:
        order = facts.POPULARITY["dagm"]
        return replace(cell, printed_category=order[len(order) - 1 - order.index(cell.category)])
    if cell.paper == "meds" and cell.table in {18, 19}:
        return replace(cell, split="meds_nr10")
    return cell


@pytest.fixture(scope="module")
def broken() -> set[tuple[str, int, str, str]]:
    """(paper, table, row, check) of all findings in the broken data."""
    caches = (cells, tables, rows, checks)
    spoilt = tuple(changed(cell) for cell in cells())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(printed, "_all_cells", lambda: spoilt)
        for cached in caches:
            cached.cache_clear()
        found = {(each.paper, each.table, each.row, each.what) for each in lint()}
    for cached in caches:
        cached.cache_clear()
    return found


@pytest.mark.parametrize("name", CHANGED, ids=lambda name: CHANGED[name][1])
def test_a_changed_number_is_found(broken: set[tuple[str, int, str, str]], name: tuple) -> None:
    paper, table, _, row, *_ = name
    what = CHANGED[name][1]
    assert (paper, table, row, what) in broken


def test_a_turned_header_and_a_wrong_caption_are_found(broken: set[tuple[str, int, str, str]]) -> None:
    assert ("ltad", 36, "header", "header") in broken
    assert ("meds", 18, "caption", "caption") in broken
