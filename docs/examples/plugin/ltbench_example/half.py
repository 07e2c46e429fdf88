"""`half`: half of the good training images of each category, nothing injected."""

from __future__ import annotations

import random
from typing import Literal

from ltbench.splits.datasets import Dataset
from ltbench.splits.split import Split

EXAMPLES = ("half",)


def build(name: str, dataset: Dataset, seed: int, overlap: Literal["paper", "none"]) -> Split | None:  # noqa: ARG001
    """Draw the images by seed; None for a name that is not this recipe's."""
    if name != "half":
        return None
    images = dataset.images()
    source = random.Random(f"half/{seed}")
    train = []
    for category in sorted({image.category for image in images}):
        own = [image for image in images if image.category == category and image.part == "train"]
        good = sorted((image for image in own if not image.is_defective), key=lambda image: image.path)
        train += source.sample(good, (len(good) + 1) // 2)
    return Split(
        dataset=dataset.name,
        recipe=name,
        seed=seed,
        train=tuple(train),
        test=tuple(image for image in images if image.part == "test"),
        source="ltbench-example",
        parameters={"recipe": "half"},
    )
