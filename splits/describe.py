"""Description of a split in numbers, printed by `ltbench splits show` and quoted in reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ltbench.splits.datasets import Dataset
from ltbench.splits.images import UNKNOWN, LabelledImage
from ltbench.splits.split import Split

EVIDENCE = {
    "release-exact": "file for file the list that the authors released",
    "generator-exact": "the authors' generator on their listing order, for a seed or ratio not released",
    "counts-only": "as many images per class as the authors had; their choice of images is not known",
    "imported": "read from a list on this machine",
    "own": "drawn by ltbench",
}
"""Meaning of each grade of evidence, strongest first."""


@dataclass(frozen=True)
class CategoryCounts:
    """Numbers of images of one class in a split."""

    category: str
    group: str
    """Group of the class; "" if it has none."""
    available: int
    """Number of good training images in the data set."""
    kept: int
    """Number of good images in the training list."""
    injected: int
    """Number of defective images in the training list."""
    overlap: int
    """Number of injected images that are also in the test list."""
    test_good: int | None
    test_defects: int | None
    """Numbers of good and defective test images; None without the data set's label files."""


@dataclass(frozen=True)
class Description:
    """Provenance and numbers of a split."""

    id: str
    digest: str
    dataset: str
    recipe: str
    seed: int
    evidence: str
    evidence_meaning: str
    source: str
    notes: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    categories: tuple[CategoryCounts, ...]
    train: int
    test: int
    kept: int
    injected: int
    overlap: int
    contamination_of_goods: float
    """injected / kept, the ratio in the released lists."""
    contamination_of_all: float
    """injected / (kept + injected), the ratio in MeDS' text."""
    imbalance: float | None
    """Ratio of the largest to the smallest number of kept images; None if a class keeps none."""


def describe(split: Split, dataset: Dataset) -> Description:
    """Describe a split, class by class in alphabetical order."""
    available = Counter(
        image.category for image in dataset.images() if image.part == "train" and image.defect == ""
    )
    tested = {image.path for image in split.test}
    rows = tuple(_count(split, category, available[category], tested) for category in split.categories)
    kept = [row.kept for row in rows]
    injected = sum(row.injected for row in rows)
    return Description(
        id=split.id,
        digest=split.digest,
        dataset=split.dataset,
        recipe=split.recipe,
        seed=split.seed,
        evidence=split.evidence,
        evidence_meaning=EVIDENCE.get(split.evidence, ""),
        source=split.source,
        notes=split.notes,
        groups=dict(split.groups),
        categories=rows,
        train=len(split.train),
        test=len(split.test),
        kept=sum(kept),
        injected=injected,
        overlap=split.overlap,
        contamination_of_goods=injected / max(sum(kept), 1),
        contamination_of_all=injected / max(len(split.train), 1),
        imbalance=max(kept) / min(kept) if min(kept, default=0) else None,
    )


def _count(split: Split, category: str, available: int, tested: set[str]) -> CategoryCounts:
    """Count the images of one class."""
    train = [image for image in split.train if image.category == category]
    test = [image for image in split.test if image.category == category]
    injected = [image for image in train if image.is_defective]
    unknown = any(image.defect == UNKNOWN for image in test)
    return CategoryCounts(
        category=category,
        group=split.group_of(category),
        available=available,
        kept=len(train) - len(injected),
        injected=len(injected),
        overlap=sum(image.path in tested for image in injected),
        test_good=None if unknown else _good(test),
        test_defects=None if unknown else len(test) - _good(test),
    )


def _good(images: list[LabelledImage]) -> int:
    """Number of images without a defect."""
    return sum(not image.is_defective for image in images)
