"""TailedCore's noise-ratio ablation on MVTec AD: the authors' configurations file for file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from split_trees import listed

from ltbench.splits import inventories
from ltbench.splits.interop.compare import compare
from ltbench.splits.recipes import build
from ltbench.splits.recipes._tailedcore import SOURCE
from ltbench.splits.split import Split
from ltbench.splits.verify import _released, released_digest, without_images

RECIPES = ("pareto", "step_k1", "step_k4")
SEEDS = range(1, 6)
TABLES = Path(__file__).parents[2] / "shared" / "splits" / "ablation"


def ablation(recipe: str, percent: int, seed: int) -> Split:
    return build(f"{recipe}_ablation_nr{percent:02d}", without_images("mvtec"), seed)


def goods(split: Split) -> set[str]:
    return {image.path for image in split.train if not image.is_defective}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("percent", [0, 5, 40])
def test_kept_and_injected_lists_are_the_authors(recipe: str, percent: int) -> None:
    for seed in SEEDS:
        split = ablation(recipe, percent, seed)
        expected = _released()["mvtec", split.recipe, seed]
        assert set(expected) == {"prune_good.txt", "inject_defects.txt"}
        for file, digest in expected.items():
            assert released_digest(split, without_images("mvtec"), file) == digest
        assert split.evidence == "release-exact"


def test_digests_of_the_authors_lists_are_these() -> None:
    # Written out once more: a table of digests made anew from wrong lists would agree with wrong lists.
    expected = {
        ("step_k4", 5, "prune_good.txt"): "0990e207a58d8fdd",
        ("step_k4", 5, "inject_defects.txt"): "c1aa82142800471e",
        ("step_k4", 40, "inject_defects.txt"): "0fac56d181a9e1c8",
        ("pareto", 5, "prune_good.txt"): "c11cca09dd1d03d6",
        ("pareto", 40, "inject_defects.txt"): "991999e60b0375b8",
    }
    for (recipe, percent, file), digest in expected.items():
        split = ablation(recipe, percent, 3)
        assert released_digest(split, without_images("mvtec"), file).startswith(digest)


@pytest.mark.parametrize("recipe", RECIPES)
def test_ten_percent_is_the_main_release(recipe: str) -> None:
    for seed in SEEDS:
        split, released = ablation(recipe, 10, seed), build(recipe, without_images("mvtec"), seed)
        assert split.digest == released.digest
        assert (split.evidence, released.evidence) == ("release-exact", "release-exact")


@pytest.mark.parametrize("recipe", RECIPES)
def test_five_percent_keeps_other_images_and_other_heads_than_the_other_ratios(recipe: str) -> None:
    for seed in SEEDS:
        others = [ablation(recipe, percent, seed) for percent in (0, 10, 40)]
        assert len({frozenset(goods(split)) for split in others}) == 1
        split = ablation(recipe, 5, seed)
        assert goods(split) != goods(others[0])
        assert set(split.groups["head"]) != set(others[0].groups["head"])
        assert any("other head classes" in note for note in split.notes)


def test_five_percent_pareto_lists_have_the_authors_sizes() -> None:
    sizes = [(len(goods(split)), len(split.injected)) for split in (ablation("pareto", 5, s) for s in SEEDS)]
    assert sizes == [(1085, 54), (196, 10), (672, 34), (1085, 54), (196, 10)]


@pytest.mark.parametrize("recipe", RECIPES)
def test_forty_percent_is_a_share_of_all_goods_of_a_head_up_to_its_defects(recipe: str) -> None:
    images = without_images("mvtec").images()
    for seed in SEEDS:
        split = ablation(recipe, 40, seed)
        for category in split.categories:
            own = [image for image in images if image.category == category]
            available = sum(image.part == "train" for image in own)
            defects = sum(image.is_defective for image in own)
            expected = min(defects, int(0.4 * available)) if category in split.groups["head"] else 0
            assert sum(image.category == category for image in split.injected) == expected


@pytest.mark.parametrize(
    ("dataset", "recipe", "seed", "evidence"),
    [
        ("mvtec", "pareto_ablation_nr40", 6, "counts-only"),
        ("mvtec", "step_k1_ablation_nr05", 101, "counts-only"),
        ("mvtec", "step_k4_ablation_nr20", 1, "counts-only"),
        ("mvtec", "step_k2_ablation_nr40", 1, "counts-only"),
        ("mvtec", "pareto_ablation_nr00", 6, "generator-exact"),
        ("visa", "pareto_ablation_nr05", 1, "counts-only"),
        ("mvtec", "pareto_nr05", 1, "generator-exact"),
    ],
)
def test_what_was_not_released_does_not_claim_to_be(
    dataset: str, recipe: str, seed: int, evidence: str
) -> None:
    assert build(recipe, without_images(dataset), seed).evidence == evidence


def test_on_another_data_set_the_ablation_is_its_rule() -> None:
    dataset = listed(dict.fromkeys("abcde", (100, 3, 60)))
    split = build("step_k4_ablation_nr05", dataset, 1)
    assert [sum(image.category == c for image in split.injected) for c in split.groups["head"]] == [5, 5]
    assert (split.evidence, split.source) == ("own", f"rule of {SOURCE}")


def test_an_imported_list_at_five_percent_is_recognised() -> None:
    found = compare(ablation("step_k1", 5, 4), without_images("mvtec"))
    assert found.equal == ("mvtec/step_k1_ablation_nr05/seed4",)


@pytest.mark.skipif(not TABLES.is_dir(), reason="the tables of the ablation are not beside the checkout")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("ablation_nr05.csv", "nr05_listing.csv"), ("ablation_nr40.csv", "nr40_left_out.csv")],
)
def test_committed_tables_are_those_recovered_from_the_authors_files(ours: str, theirs: str) -> None:
    with (TABLES / theirs).open(encoding="utf-8", newline="") as file:
        assert inventories.table(ours) == list(csv.DictReader(file))
