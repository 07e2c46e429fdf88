"""`fewshot_k4`: K good images of every class, none injected."""

from __future__ import annotations

import re

from ltbench.splits.datasets import Dataset
from ltbench.splits.recipes import Overlap
from ltbench.splits.recipes._assemble import Chosen, assemble, draw, train_goods
from ltbench.splits.split import Split

EXAMPLES = ("fewshot_k1", "fewshot_k2", "fewshot_k4", "fewshot_k8")


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Draw K good images of every class; a larger K contains the images of smaller K at the same seed."""
    match = re.fullmatch(r"fewshot_k([1-9]\d*)", name)
    if match is None:
        return None
    shots = int(match[1])
    goods = train_goods(dataset)
    kept = {}
    for category, images in goods.items():
        # The key does not contain K, so that the first K images of one order are nested.
        kept[category] = draw(images, len(images), "fewshot", dataset.name, seed, category)[:shots]
    short = sorted(category for category, images in goods.items() if len(images) < shots)
    notes = (f"fewer than {shots} good images exist, so all are kept: {', '.join(short)}",) if short else ()
    return assemble(
        name,
        dataset,
        seed,
        overlap,
        Chosen(kept, notes=notes),
        parameters={"recipe": "fewshot", "images": shots},
        groups={},
        evidence="own",
        source="few-shot draw of ltbench",
    )
