"""What every recipe promises on every data set, however small or odd."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from split_trees import ListedDataset, listed

from ltbench.splits.images import LabelledImage
from ltbench.splits.recipes import build
from ltbench.splits.split import Split
from ltbench.splits.verify import without_images

RECIPES = [
    "clean", "pareto", "pareto_nr40", "pareto_ablation_nr40", "step_k1", "step_k4_nr20",
    "step_k2_ablation_nr40",
    "ltad_exp3", "ltad_step3", "ltad_reverse_exp2", "meds_nr10", "meds_nr40_total", "meds_nr40_stratified",
    "fewshot_k2", "fewshot_k2+noise50", "ltad_exp3+noise40heads_stratified", "pareto+noise20",
]  # fmt: skip
# These follow the data set's listing order by definition; all others see the set of files alone.
BY_LISTING = ("pareto", "step")

INVENTORIES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.tuples(st.integers(3, 60), st.integers(1, 6), st.integers(0, 20)),
    min_size=1,
    max_size=6,
)
SEEDS = st.integers(0, 1000)


def shuffled(dataset: ListedDataset, seed: int) -> ListedDataset:
    images = list(dataset.images())
    random.Random(seed).shuffle(images)
    return ListedDataset(images)


@settings(max_examples=60, deadline=None)
@given(sizes=INVENTORIES, seed=SEEDS, recipe=st.sampled_from(RECIPES))
def test_no_image_twice_in_training_and_the_test_list_untouched(
    sizes: dict[str, tuple[int, int, int]], seed: int, recipe: str
) -> None:
    assume(len(sizes) > 1 or "heads" not in recipe)
    dataset = listed(sizes)
    split = build(recipe, dataset, seed)
    paths = Counter(image.path for image in split.train)
    assert max(paths.values()) == 1
    assert {i.path for i in split.test} == {i.path for i in dataset.images() if i.part == "test"}
    assert split.overlap == len(split.injected)
    assert {image.category for image in split.train} == set(sizes)
    for category, (train, _, bad) in sizes.items():
        goods = sum(i.category == category and not i.is_defective for i in split.train)
        assert 1 <= goods <= train
        assert sum(i.category == category for i in split.injected) <= bad
    members = [category for group in split.groups.values() for category in group]
    assert not members or sorted(members) == sorted(sizes)


@settings(max_examples=40, deadline=None)
@given(sizes=INVENTORIES, seed=SEEDS, recipe=st.sampled_from(RECIPES))
def test_without_overlap_nothing_trained_is_tested(
    sizes: dict[str, tuple[int, int, int]], seed: int, recipe: str
) -> None:
    assume(len(sizes) > 1 or "heads" not in recipe)
    dataset = listed(sizes)
    paper, none = build(recipe, dataset, seed), build(recipe, dataset, seed, "none")
    assert none.train == paper.train
    assert none.overlap == 0
    assert len(none.test) == len(paper.test) - len(paper.injected)


@settings(max_examples=40, deadline=None)
@given(sizes=INVENTORIES, seed=SEEDS, order=SEEDS, recipe=st.sampled_from(RECIPES))
def test_the_order_of_an_inventory_changes_nothing(
    sizes: dict[str, tuple[int, int, int]], seed: int, order: int, recipe: str
) -> None:
    assume(len(sizes) > 1 or "heads" not in recipe)
    if not recipe.startswith(BY_LISTING):
        dataset = listed(sizes)
        assert build(recipe, shuffled(dataset, order), seed).digest == build(recipe, dataset, seed).digest


@settings(max_examples=40, deadline=None)
@given(sizes=INVENTORIES, seed=SEEDS, shots=st.integers(1, 8), percent=st.integers(0, 90))
def test_counts_are_as_promised(
    sizes: dict[str, tuple[int, int, int]], seed: int, shots: int, percent: int
) -> None:
    dataset = listed(sizes)
    few = Counter(image.category for image in build(f"fewshot_k{shots}", dataset, seed).train)
    assert few == {name: min(shots, train) for name, (train, _, _) in sizes.items()}
    noisy = Counter(image.category for image in build(f"meds_nr{percent:02d}", dataset, seed).injected)
    for name, (train, _, bad) in sizes.items():
        assert noisy[name] == min(bad, round(percent / 100 * train))
    step = build(f"step_k{shots}_nr{percent:02d}", dataset, seed)
    kept = Counter(image.category for image in step.train if not image.is_defective)
    reduced = [name for name, (train, _, _) in sizes.items() if train > shots and kept[name] == shots]
    full = [name for name, (train, _, _) in sizes.items() if kept[name] == train]
    assert set(reduced) | set(full) == set(sizes)
    assert len(reduced) <= round(0.6 * len(sizes))


@settings(max_examples=30, deadline=None)
@given(sizes=INVENTORIES, seed=SEEDS)
def test_pareto_never_gives_more_than_there_is_nor_less_than_five(
    sizes: dict[str, tuple[int, int, int]], seed: int
) -> None:
    split = build("pareto", listed(sizes), seed)
    kept = Counter(image.category for image in split.train if not image.is_defective)
    for name, (train, _, _) in sizes.items():
        assert min(5, train) <= kept[name] <= train
    assert any(kept[name] == train for name, (train, _, _) in sizes.items())
    tail = {name for name, count in kept.items() if count < 20}
    assert not tail & {image.category for image in split.injected}
    assert len(split.injected) <= round(0.1 * sum(kept.values()))


@pytest.mark.parametrize("recipe", ["pareto", "step_k4", "ltad_exp100", "meds_nr10", "fewshot_k4"])
def test_seeds_give_different_training_lists(recipe: str) -> None:
    source = without_images("mvtec")
    digests = {build(recipe, source, seed).digest for seed in range(6, 16)}
    assert len(digests) == 10


def test_a_class_more_or_less_does_not_move_the_draws_of_the_others() -> None:
    sizes = {name: (40 + index, 3, 12) for index, name in enumerate("abcd")}
    for recipe in ("meds_nr20", "fewshot_k3"):
        whole = build(recipe, listed(sizes), 4)
        part = build(recipe, listed({name: sizes[name] for name in "bd"}), 4)
        assert {i.path for i in part.train} == {i.path for i in whole.train if i.category in "bd"}


def test_digests_do_not_depend_on_names_groups_or_labels() -> None:
    image = LabelledImage("a/train/good/0.png", "a", "train")
    other = LabelledImage("a/train/good/0.png", "b", "test", "cut", "m.png")
    one = Split("x", "r", 1, (image,), (), groups={"head": ("a",)})
    two = Split("y", "s", 2, (other,), (), evidence="imported")
    assert one.digest == two.digest
    assert one.manifest() != two.manifest()


SCRIPT = """
import json
from ltbench.splits.recipes import build
from ltbench.splits.verify import without_images
names = ["pareto", "step_k4", "ltad_exp100", "meds_nr10", "meds_nr07_stratified", "fewshot_k4+noise25"]
print(json.dumps([build(name, without_images("mvtec"), 7).digest for name in names]))
"""


def test_digests_do_not_depend_on_hash_seed_or_locale() -> None:
    found = []
    for hash_seed, locale in (("0", "C"), ("12345", "tr_TR.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "LC_ALL": locale, "LANG": locale}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert len(set(found[0])) == 6
