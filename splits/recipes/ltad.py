"""`ltad_exp100`, `ltad_step200`, `ltad_reverse_exp200`: long-tailed splits of LTAD (Ho et al., CVPR 2024)."""

from __future__ import annotations

import math
import re

from ltbench.splits.datasets import Dataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.recipes import Overlap
from ltbench.splits.recipes._assemble import Chosen, Pools, assemble, draw, rule_of, train_goods
from ltbench.splits.split import Split

EXAMPLES = (
    "ltad_exp50", "ltad_exp100", "ltad_exp200", "ltad_exp500",
    "ltad_step50", "ltad_step100", "ltad_step200", "ltad_step500",
    "ltad_reverse_exp200", "ltad_reverse_step200",
)  # fmt: skip

# Classes in the order of the columns of LTAD's Tables 10-49, majority first: the authors' popularity order.
POPULARITY = {
    "mvtec": (
        "hazelnut", "leather", "bottle", "wood", "carpet", "tile", "metal_nut",
        "toothbrush", "zipper", "transistor", "grid", "pill", "capsule", "cable", "screw",
    ),
    "visa": (
        "pcb3", "pcb2", "pcb1", "pcb4", "macaroni1", "macaroni2",
        "candle", "cashew", "fryum", "capsules", "chewinggum", "pipe_fryum",
    ),
    "dagm": (
        "Class10", "Class7", "Class9", "Class8", "Class2",
        "Class3", "Class5", "Class1", "Class4", "Class6",
    ),
}  # fmt: skip
PUBLISHED = {
    "mvtec": ("exp100", "exp200", "step100", "step200"),
    "visa": ("exp100", "exp200", "exp500", "step100", "step200", "step500"),
    "dagm": (
        "exp50", "exp100", "exp200", "exp500", "step50", "step100", "step200", "step500",
        "reverse_exp200", "reverse_step200",
    ),
}  # fmt: skip
"""The 20 configurations of Tables 10-49."""

SOURCE = "LTAD (CVPR 2024), Table 2: ltad-compatible-counts (the drawn files are not public elsewhere)"
_ROUNDING_GUARD = 1e-9


def wanted_counts(shape: str, largest: int, imbalance: int, classes: int) -> list[int]:
    """Number of images per class, from `largest` to `largest / imbalance`, in popularity order.

    Rounded down, since some classes of MVTec AD have a single image at an imbalance of 200 according to the
    paper, where 391 / 200 = 1.955.

    Args:
        shape: "exp" = exponential decay, "step" = the first half of the classes high, the others low.
        largest: Size of the largest class.
        imbalance: Ratio of the largest to the smallest class.
        classes: Number of classes.

    >>> wanted_counts("step", 391, 200, 4)
    [391, 391, 1, 1]
    """
    if shape == "step":
        small = math.floor(largest / imbalance + _ROUNDING_GUARD)
        return [largest if index < classes // 2 else small for index in range(classes)]
    last = max(classes - 1, 1)
    return [
        math.floor(largest * (1 / imbalance) ** (index / last) + _ROUNDING_GUARD) for index in range(classes)
    ]


def popularity(dataset: Dataset, goods: Pools) -> list[str]:
    """Popularity order of the classes: the paper's, or else by descending number of images, then name."""
    by_count = sorted(goods, key=lambda category: (-len(goods[category]), category))
    return list(POPULARITY.get(dataset.name, by_count))


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Build LTAD's split with exponential or step imbalance; the name contains the imbalance ratio.

    Raises SplitsError if a class would have no image.
    """
    match = re.fullmatch(r"ltad_(reverse_)?(exp|step)([1-9]\d*)", name)
    if match is None:
        return None
    config = name.removeprefix("ltad_")
    goods = train_goods(dataset)
    order = popularity(dataset, goods)
    largest = max(len(images) for images in goods.values())
    if match[1]:
        order = order[::-1]
    counts = wanted_counts(match[2], largest, int(match[3]), len(order))
    if 0 in counts:
        raise SplitsError(
            f"split '{name}' leaves class '{order[counts.index(0)]}' of '{dataset.name}' without an image: "
            f"expected an imbalance of at most {largest}, the size of the largest class"
        )
    kept = {
        category: draw(goods[category], count, "ltad", dataset.name, config, seed, category)
        for category, count in zip(order, counts, strict=True)
    }
    capped = [c for c, count in zip(order, counts, strict=True) if count > len(goods[c])]
    notes = (f"keep all their images, fewer than asked for: {', '.join(capped)}",) if capped else ()
    half = len(order) // 2
    evidence = "counts-only" if config in PUBLISHED.get(dataset.name, ()) else "own"
    return assemble(
        name,
        dataset,
        seed,
        overlap,
        Chosen(kept, notes=notes),
        parameters={
            "recipe": "ltad",
            "shape": match[2],
            "imbalance": int(match[3]),
            **({"reverse": True} if match[1] else {}),
        },
        groups={"high": tuple(sorted(order[:half])), "low": tuple(sorted(order[half:]))},
        evidence=evidence,
        source=rule_of(SOURCE, evidence),
    )
