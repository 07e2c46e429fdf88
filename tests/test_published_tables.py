"""The papers' tables as data: complete, as printed, and consistent with our names."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from ltbench.benchmark import metrics
from ltbench.results.errors import ResultsError
from ltbench.results.published import PAPERS, cells, facts, load, table, tables
from ltbench.results.published.printed import FOLDER, TABLES_FILE
from ltbench.splits import recipes
from ltbench.splits.datasets import open_dataset
from ltbench.splits.recipes import ltad

OUR_METHODS = {
    "anomalyclip", "anomalygpt", "cutpaste", "dinomaly", "dinomaly+meds", "draem", "funad", "hvq", "hvq+meds",
    "inpformer", "inpformer+meds", "inreach", "ltad", "mkd", "padim", "patchcore", "rd", "regad", "softpatch",
    "tailedcore", "uniad", "winclip",
}  # fmt: skip
GROUPS = {"all", "high", "low", "head", "tail", "std"}
CLASSES = {"mvtec": 15, "visa": 12, "dagm": 10, "realiad": 30}


def expected_cells() -> dict[tuple[str, int], int]:
    """(paper, table) -> printed numbers, from the tables' shapes: methods x (classes + means) x metrics."""
    counts = {("ltad", 3): 56, ("ltad", 4): 56, ("ltad", 5): 60}  # 184 cells, 12 of them N/A
    counts |= {("ltad", 6): 8 * 6, ("ltad", 7): 4 * 6, ("ltad", 8): 3 * 6, ("ltad", 9): 16 * 2}
    # Cut & Paste does not localise; RegAD needs two images of every class.
    methods = [8, 7, 7, 6, 8, 7, 7, 6] + [5, 5, 5, 5, 4, 4] * 2 + [5] * 20
    for number, count in zip(range(10, 50), methods, strict=True):
        classes = 15 if number < 18 else 12 if number < 30 else 10
        counts["ltad", number] = count * (classes + 3)
    counts |= {("tailedcore", number): 7 * 9 for number in range(1, 5)}
    # A panel of the noise-ratio figure: three methods, four ratios, two metrics, mean and deviation.
    counts |= {("tailedcore", number): 3 * 4 * 2 * 2 for number in range(101, 104)}
    # PatchCore, RD and UniAD come with two metrics of four (Table 3), one of three or four (Tables 22-29).
    counts |= {("meds", 1): 9 * 16, ("meds", 2): 9 * 16, ("meds", 3): 3 * 16 + 3 * 8}
    counts |= {("meds", 4): 6 * 16, ("meds", 5): 6 * 16, ("meds", 30): 12 * 17}
    for number in range(6, 30):
        per_image = 3 if number % 2 == 0 else 4
        if number < 22:
            counts["meds", number] = 9 * per_image * (16 if number < 14 else 13)
        else:
            counts["meds", number] = (3 * per_image + 3) * 31
    return counts


def test_every_table_has_as_many_numbers_as_its_shape_says() -> None:
    assert Counter((cell.paper, cell.table) for cell in cells()) == expected_cells()
    assert {(each.paper, each.table): each.cells for each in tables()} == expected_cells()


def test_a_cell_is_named_by_table_method_split_metric_and_category() -> None:
    keys = Counter(
        (cell.paper, cell.table, cell.printed_method, cell.split, cell.metric, cell.category)
        for cell in cells()
    )
    assert not [key for key, count in keys.items() if count > 1]


def test_value_is_the_printed_number_unless_corrected() -> None:
    for cell in cells():
        clean = re.fullmatch(r"\d+\.?\d*", cell.printed) and float(cell.printed) <= 100
        assert (clean is False or clean is None) == cell.corrected == cell.garbled, cell
        if not cell.corrected:
            assert float(cell.printed) == cell.value
        assert 0 < cell.value <= 100


def test_only_the_known_cells_are_corrected() -> None:
    per_row = Counter((cell.paper, cell.table, cell.printed_method) for cell in cells() if cell.corrected)
    assert per_row == {
        ("ltad", 15, "DRAEM"): 15, ("ltad", 18, "AnomalyGPT"): 1, ("ltad", 18, "RegAD"): 1,
        ("ltad", 18, "Ours w/o PTA"): 1, ("ltad", 20, "UniAD"): 1, ("ltad", 26, "Ours"): 1,
        ("ltad", 27, "Ours"): 1, ("ltad", 27, "Ours w/o PTA"): 1, ("ltad", 39, "AnomalyGPT"): 1,
        ("meds", 23, "SoftPatch"): 1,
    }  # fmt: skip


def test_groups_are_aggregates_and_categories_are_not() -> None:
    for cell in cells():
        assert (cell.category in GROUPS) == cell.aggregate
    for each in tables():
        if each.categories:
            (dataset,) = each.datasets
            assert each.categories == CLASSES[dataset]


def test_methods_carry_our_names_or_the_printed_ones() -> None:
    for cell in cells():
        if cell.method not in OUR_METHODS:
            assert cell.method.startswith(
                ("LTAD w/o", "LTAD ", "UniAD ", "meds: ", "dinomaly+", "inpformer+")
            )
    main = {cell.method for cell in cells() if table(cell.paper, cell.table).kind == "main"}
    assert main - OUR_METHODS == {"LTAD w/o SAD"}


def test_metrics_are_the_benchmarks_metrics() -> None:
    names = {cell.metric for cell in cells()}
    assert names - set(metrics.names()) == {"label_auprc", "inspection_depth"}


def test_splits_and_class_orders_are_those_of_the_recipes() -> None:
    found = defaultdict(set)
    for cell in cells("ltad"):
        found[cell.dataset].add(cell.split.removeprefix("ltad_"))
    assert found == {dataset: set(names) for dataset, names in ltad.PUBLISHED.items()}
    assert facts.POPULARITY == ltad.POPULARITY


@pytest.mark.parametrize("name", ["mvtec", "visa"])
def test_facts_agree_with_the_inventories_and_the_released_splits(name: str, tmp_path: Path) -> None:
    dataset = open_dataset(name, tmp_path)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for image in dataset.images():
        if image.part == "test":
            counts[image.category][image.is_defective] += 1
    assert {category: tuple(pair) for category, pair in counts.items()} == facts.TEST_IMAGES[name]
    pareto = [recipes.build("pareto", dataset, seed) for seed in range(1, 6)]
    assert tuple(len(split.groups["tail"]) for split in pareto) == facts.PARETO_TAILS[name]
    step = recipes.build("step_k4", dataset, 1)
    assert (len(step.groups["tail"]), len(step.categories)) == (facts.STEP_TAILS[name], facts.CLASSES[name])


def test_files_are_sorted_utf8_with_unix_line_ends() -> None:
    for path in sorted(FOLDER.glob("*.csv")):
        content = path.read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")
        rows = list(csv.DictReader(content.decode("utf-8").splitlines()))
        names = ("split", "printed_method", "metric", "category") if path != TABLES_FILE else ("paper",)
        keys = [(int(row["table"]), *(row[name] for name in names)) for row in rows]
        if path != TABLES_FILE:
            assert keys == sorted(keys), path.name


def test_load_is_the_cells_as_a_frame() -> None:
    frame = load("tailedcore")
    assert len(frame) == 4 * 63 + 3 * 48
    assert set(frame.paper) == {"tailedcore"}
    row = frame[(frame.table == 1) & (frame.split == "pareto") & (frame.method == "tailedcore")]
    assert dict(zip(row.category, row.value, strict=True)) == {"all": 96.12, "head": 95.24, "tail": 96.55}


def test_an_unknown_paper_or_table_is_an_error_for_people() -> None:
    with pytest.raises(ResultsError, match="known are ltad, tailedcore, meds"):
        load("ltda")
    with pytest.raises(ResultsError, match="Table 2"):
        table("ltad", 2)


def test_bibtex_holds_title_year_and_every_author() -> None:
    for paper in PAPERS.values():
        assert paper.title in paper.bibtex
        assert str(paper.year) in paper.bibtex
        assert all(author in paper.bibtex for author in paper.authors)
        assert paper.bibtex.count("{") == paper.bibtex.count("}")
