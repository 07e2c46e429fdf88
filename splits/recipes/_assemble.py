"""Steps that all recipes share: pools of images, draws, and assembling a Split."""

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
"""Number of kept good training images from which a category belongs to the head (TailedCore, section 5.1)."""

Pools = dict[str, list[LabelledImage]]


@dataclass(frozen=True)
class Chosen:
    """Images chosen by a recipe: good ones by category, in the data set's order, and injected defects."""

    kept: Mapping[str, Sequence[LabelledImage]]
    injected: Sequence[LabelledImage] = ()
    notes: tuple[str, ...] = ()


def train_goods(dataset: Dataset) -> Pools:
    """Good training images by category, both in the data set's listing order.

    Raises SplitsError if a category has none.
    """
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
    """Defective test images of all types by category, in the data set's listing order."""
    pools: Pools = {image.category: [] for image in dataset.images()}
    for image in dataset.images():
        if image.part == "test" and image.is_defective:
            pools[image.category].append(image)
    return pools


def head_and_tail(kept: Mapping[str, Sequence[LabelledImage]]) -> dict[str, tuple[str, ...]]:
    """Group categories with at least `HEAD_MINIMUM` kept images as "head", others as "tail".

    Empty groups are omitted.
    """
    head = tuple(sorted(name for name, images in kept.items() if len(images) >= HEAD_MINIMUM))
    tail = tuple(sorted(name for name, images in kept.items() if len(images) < HEAD_MINIMUM))
    return {name: members for name, members in (("head", head), ("tail", tail)) if members}


def draw(images: Sequence[LabelledImage], count: int, *key: object) -> list[LabelledImage]:
    """Draw images without repetition, by ltbench's own rule where the papers' generators are not known.

    The draw depends only on the paths and the key, not on the order of the images, so that adding a class or
    listing files in another order changes nothing.

    Args:
        images: Images to draw from.
        count: Number of images, clipped to those available.
        key: Values that seed the draw.
    """
    ordered = sorted(images, key=lambda image: image.path)
    source = random.Random("/".join(["ltbench 1", *map(str, key)]))
    return source.sample(ordered, min(count, len(ordered)))


def rule_of(source: str, evidence: str) -> str:
    """Name the source of a split: "rule of SOURCE" if only the rule, not the list, comes from it."""
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
    """Assemble a split.

    Args:
        name: Name of the recipe with its parameters.
        dataset: Data set of the split.
        seed: Seed of the split.
        overlap: "none" removes injected defects from the test list.
        chosen: Training images.
        parameters: Recipe and parameters for the record.
        groups: Groups of categories.
        evidence: Grade of evidence, see `ltbench.splits.describe.EVIDENCE`.
        source: Paper, record or file of the list.
        tested: Test images; None = the data set's test part.
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
