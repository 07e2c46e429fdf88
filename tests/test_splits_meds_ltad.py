"""MeDS' released lists, LTAD's counts, few shots and their combinations."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from split_trees import listed

from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage
from ltbench.splits.recipes import build
from ltbench.splits.recipes._contaminate import Contamination, draw_defects
from ltbench.splits.recipes.ltad import PUBLISHED, wanted_counts
from ltbench.splits.verify import without_images

SHARED = Path(__file__).parents[2] / "shared" / "splits"
MEDS = [("mvtec", ratio, seed) for ratio in (0, 10, 20, 40) for seed in (0, 10, 20, 30) if ratio or not seed]
MEDS += [("visa", ratio, seed) for ratio in (0, 2, 5, 10) for seed in (0, 10, 20, 30) if ratio or not seed]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the released CSV files are not beside the checkout")
@pytest.mark.parametrize(("dataset", "percent", "seed"), MEDS)
def test_released_meds_lists_are_the_same_sets(dataset: str, percent: int, seed: int) -> None:
    folder = {"mvtec": "MVTech", "visa": "VISA"}[dataset]
    file = SHARED / "meds_csv" / folder / f"train_{dataset}_nr{percent}_seed_{seed}.csv"
    with file.open(newline="", encoding="utf-8") as opened:
        released = [row["filename"] for row in csv.DictReader(opened)]
    split = build(f"meds_nr{percent:02d}", without_images(dataset), seed)
    assert sorted(released) == sorted(image.path for image in split.train)
    assert split.evidence == "release-exact"


def test_the_odd_hazelnut_counts_of_seed_0_are_kept() -> None:
    source = without_images("mvtec")
    counts = {
        (ratio, seed): sum(i.category == "hazelnut" for i in build(f"meds_nr{ratio}", source, seed).injected)
        for ratio in (10, 20, 40)
        for seed in (0, 10)
    }
    assert counts == {(10, 0): 48, (10, 10): 39, (20, 0): 55, (20, 10): 70, (40, 0): 70, (40, 10): 70}


def test_a_seed_that_was_not_released_has_the_rules_counts_and_says_so() -> None:
    source = without_images("visa")
    released, drawn = build("meds_nr05", source, 10), build("meds_nr05", source, 11)
    assert drawn.evidence == "counts-only"
    assert any("seed 11 is drawn here" in note for note in drawn.notes)
    per_class = [Counter(image.category for image in split.injected) for split in (released, drawn)]
    assert per_class[0] == per_class[1]
    assert {i.path for i in released.injected} != {i.path for i in drawn.injected}


def test_the_realised_ratio_is_noted_for_both_definitions() -> None:
    split = build("meds_nr40", without_images("mvtec"), 0)
    assert "32.16% of the goods, 24.33% of all (asked for 40% of the goods)" in split.notes[0]


def test_the_ratio_of_all_images_asks_for_more_than_the_ratio_of_goods() -> None:
    dataset = listed({"a": (90, 5, 200)})
    assert len(build("meds_nr10", dataset, 1).injected) == 9
    split = build("meds_nr10_total", dataset, 1)
    assert len(split.injected) == 10
    assert len(split.injected) / len(split.train) == 0.10


def test_shortage_policies_cap_refuse_or_repeat() -> None:
    dataset = listed({"a": (100, 5, 30)})
    capped = build("meds_nr80", dataset, 1)
    assert Counter(image.path for image in capped.injected).most_common(1)[0][1] == 1
    assert len(capped.injected) == 30
    assert any("a 30 of 80" in note for note in capped.notes)
    with pytest.raises(SplitsError, match="class 'a' has 30 defects, but 80 should be injected"):
        build("meds_nr80_error", dataset, 1)
    repeated = build("meds_nr80_resample", dataset, 1)
    times = Counter(image.path for image in repeated.injected)
    assert len(repeated.injected) == 80
    assert set(times.values()) == {2, 3}
    assert any("50 repeats" in note for note in repeated.notes)


def test_stratified_noise_follows_the_shares_of_the_defect_types() -> None:
    pool = [
        LabelledImage(f"a/test/{d}/{i}.png", "a", "test", d)
        for d, n in (("x", 60), ("y", 30))
        for i in range(n)
    ]
    drawn, _ = draw_defects(Contamination(0.3, stratified=True), {"a": 100}, {"a": pool}, "key")
    assert Counter(image.defect for image in drawn) == {"x": 20, "y": 10}


LTAD = [(dataset, config) for dataset, configs in PUBLISHED.items() for config in configs]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the counts are not beside the checkout")
@pytest.mark.parametrize(("dataset", "config"), LTAD)
def test_ltad_counts_and_groups_are_the_published_ones(dataset: str, config: str) -> None:
    with (SHARED / "ltad_counts.csv").open(newline="", encoding="utf-8") as opened:
        rows = [r for r in csv.DictReader(opened) if (r["dataset"], r["config"]) == (dataset, config)]
    split = build(f"ltad_{config}", without_images(dataset), 0)
    assert Counter(image.category for image in split.train) == {
        r["class"]: int(r["kept_floor"]) for r in rows
    }
    for group in ("High", "Low"):
        assert set(split.groups[group.lower()]) == {r["class"] for r in rows if r["group"] == group}
    assert split.evidence == "counts-only"
    assert not split.injected


TOTALS = {
    "mvtec": {"exp100": 1342, "exp200": 1206, "step100": 1846, "step200": 1830},
    "visa": {
        "exp100": 2622, "exp200": 2356, "exp500": 2089, "step100": 5468, "step200": 5438, "step500": 5420,
    },
    "dagm": {
        "exp50": 2795, "exp100": 2478, "exp200": 2238, "exp500": 1998,
        "step50": 4609, "step100": 4559, "step200": 4534, "step500": 4519,
        "reverse_exp200": 1668, "reverse_step200": 2520,
    },
}  # fmt: skip


def test_ltad_has_twenty_configurations_of_known_sizes() -> None:
    assert len(LTAD) == 20
    for dataset, config in LTAD:
        split = build(f"ltad_{config}", without_images(dataset), 0)
        assert len(split.train) == TOTALS[dataset][config]


def test_ltad_rounds_down() -> None:
    assert wanted_counts("exp", 391, 200, 15)[-1] == 1  # 1.955
    assert wanted_counts("exp", 391, 100, 15) == [
        391,
        281,
        202,
        145,
        104,
        75,
        54,
        39,
        28,
        20,
        14,
        10,
        7,
        5,
        3,
    ]
    assert wanted_counts("step", 905, 500, 12) == [905] * 6 + [1] * 6
    assert wanted_counts("exp", 1000, 100, 10)[-1] == 10  # not 9.999999


def test_ltad_on_another_data_set_orders_by_count_and_refuses_empty_classes() -> None:
    dataset = listed({"few": (10, 2, 2), "many": (100, 2, 2), "some": (50, 2, 2)})
    split = build("ltad_exp10", dataset, 0)
    assert Counter(image.category for image in split.train) == {"many": 100, "some": 31, "few": 10}
    assert split.groups == {"high": ("many",), "low": ("few", "some")}
    with pytest.raises(SplitsError, match="leaves class 'few' of 'listed' without an image"):
        build("ltad_exp101", dataset, 0)


def test_few_shots_are_nested_and_shortages_are_told() -> None:
    dataset = listed({"a": (20, 2, 2), "b": (3, 2, 2)})
    sets = [{image.path for image in build(f"fewshot_k{k}", dataset, 5).train} for k in (1, 2, 4, 8)]
    assert all(small < large for small, large in pairwise(sets))
    assert build("fewshot_k4", dataset, 5).notes == ("fewer than 4 good images exist, so all are kept: b",)


def test_noise_on_a_long_tail_keeps_the_tail_and_its_groups() -> None:
    source = without_images("mvtec")
    base, noisy = build("ltad_exp100", source, 2), build("ltad_exp100+noise10", source, 2)
    assert set(base.train) < set(noisy.train)
    assert noisy.groups == base.groups
    kept = Counter(image.category for image in base.train)
    assert Counter(i.category for i in noisy.injected) == {c: round(n / 10) for c, n in kept.items() if n > 5}
    heads = build("ltad_exp100+noise10heads", source, 2)
    assert {image.category for image in heads.injected} == set(base.groups["high"])


def test_noise_on_a_contaminated_split_adds_other_defects() -> None:
    source = without_images("mvtec")
    base, noisy = build("pareto", source, 1), build("pareto+noise10", source, 1)
    assert set(base.injected) < set(noisy.injected)
    assert len({image.path for image in noisy.train}) == len(noisy.train)
    assert build("pareto+noise10", source, 1, "none").overlap == 0
