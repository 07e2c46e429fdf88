"""`clean`: all good training images as the authors publish them, nothing injected."""

from __future__ import annotations

from ltbench.splits.datasets import Dataset, public_facts
from ltbench.splits.recipes import Overlap
from ltbench.splits.recipes._assemble import Chosen, assemble, train_goods
from ltbench.splits.split import Split

EXAMPLES = ("clean",)


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Build the split of all good training images, equal for every seed."""
    if name != "clean":
        return None
    official = dataset.name.partition(":")[0] in public_facts()
    return assemble(
        name,
        dataset,
        seed,
        overlap,
        Chosen(train_goods(dataset)),
        parameters={"recipe": "clean"},
        groups={},
        evidence="release-exact" if official else "own",
        source=f"{dataset.title}'s own training and test parts",
    )
