"""From the images that a recipe keeps and injects to a Split: the steps all recipes share."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ltbench.splits.datasets import Dataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage
from ltbench.splits.recipes import Overlap
from ltbench.splits.split import Parameter, Split

HEAD_MINIMUM = 20
"""A category that keeps fewer good training images than this is tail (TailedCore, section 5.1)."""

Pools = dict[str, list[LabelledImage]]


@dataclass(frozen=True)
class Chosen:
    """What a recipe took: good images per category (in the data set's class order), and injected defects."""

    kept: Mapping[str, Sequence[LabelledImage]]
    injected: Sequence[LabelledImage] = ()
    notes: tuple[str, ...] = ()


def train_goods(dataset: Dataset) -> Pools:
    """Good training images of each category, categories and images in the data set's listing order."""
    pools: Pools = {}
    for image in dataset.images():
        pools.setdefault(image.category, [])
        if image.part == "train" and not image.is_defective:
            pools[image.category].append(image)
    empty = next((category for category, pool in pools.items() if not pool), None)
    if empty is not None:
        raise SplitsError(
            f"class '{empty}' of '{dataset.name}' has no good training image: expected at least one; "
            "add some or leave the class out"
        )
    return pools


def test_defects(dataset: Dataset) -> Pools:
    """Defective test images of each category, all defect types pooled, in the data set's listing order."""
    pools: Pools = {image.category: [] for image in dataset.images()}
    for image in dataset.images():
        if image.part == "test" and image.is_defective:
            pools[image.category].append(image)
    return pools


def head_and_tail(kept: Mapping[str, Sequence[LabelledImage]]) -> dict[str, tuple[str, ...]]:
    """Categories with at least / fewer than `HEAD_MINIMUM` kept good images; an empty group is left out."""
    head = tuple(sorted(name for name, images in kept.items() if len(images) >= HEAD_MINIMUM))
    tail = tuple(sorted(name for name, images in kept.items() if len(images) < HEAD_MINIMUM))
    return {name: members for name, members in (("head", head), ("tail", tail)) if members}


def draw(images: Sequence[LabelledImage], count: int, *key: object) -> list[LabelledImage]:
    """`count` of the images (all, where there are no more), drawn without repetition.

    The draw depends on the paths and the key alone, not on the order of the images, so that adding a class or
    listing files in another order changes nothing. Ours, since the papers' own generators are not known.
    """
    ordered = sorted(images, key=lambda image: image.path)
    source = random.Random("/".join(["ltbench 1", *map(str, key)]))
    return source.sample(ordered, min(count, len(ordered)))


def rule_of(source: str, evidence: str) -> str:
    """What a split's source is called where nothing but the rule comes from there."""
    return f"rule of {source}" if evidence == "own" else source


def assemble(
    name: str,
    dataset: Dataset,
    seed: int,
    overlap: Overlap,
    chosen: Chosen,
    *,
    parameters: Mapping[str, Parameter],
    groups: Mapping[str, tuple[str, ...]],
    evidence: str,
    source: str,
    tested: Sequence[LabelledImage] | None = None,
) -> Split:
    """Trains on what was chosen; tests on the test part, under overlap="none" without what is injected.

    `tested` replaces the test part.
    """
    taken = {image.path for image in chosen.injected}
    test: Iterable[LabelledImage] = (image for image in dataset.images() if image.part == "test")
    if tested is not None:
        test = tested
    notes = chosen.notes
    if overlap == "none" and taken:
        test = [image for image in test if image.path not in taken]
        notes = (*notes, f"{len(taken)} injected defects are taken out of the test list (overlap=none)")
        left = {image.category for image in test if image.is_defective}
        bare = sorted({image.category for image in chosen.injected} - left)
        if bare:
            notes = (*notes, f"no defect is left to test in {', '.join(bare)}")
    return Split(
        dataset=dataset.name,
        recipe=name,
        seed=seed,
        train=tuple(image for images in chosen.kept.values() for image in images) + tuple(chosen.injected),
        test=tuple(test),
        groups=groups,
        evidence=evidence,
        source=source,
        parameters=parameters,
        notes=notes,
    )
