"""`pareto`, `pareto_nr05`: Pareto-distributed class sizes, with defects injected into the head classes."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt

from ltbench.splits.datasets import Dataset
from ltbench.splits.recipes import Overlap
from ltbench.splits.recipes import _ablation as ablation
from ltbench.splits.recipes import _tailedcore as tailedcore
from ltbench.splits.recipes._assemble import (
    HEAD_MINIMUM,
    Chosen,
    Pools,
    assemble,
    head_and_tail,
    rule_of,
)
from ltbench.splits.split import Split

EXAMPLES = ("pareto", "pareto_nr05", "pareto_ablation_nr05", "pareto_ablation_nr40")

SHAPE = 6
SMALLEST = 5


def share_of_classes(count: int) -> npt.NDArray[np.float64]:
    """Mass (count,), descending, of the Pareto law in equal steps between its 1 % and 99 % quantiles."""
    edges = np.linspace(0.99 ** (-1 / SHAPE), 0.01 ** (-1 / SHAPE), count + 1)
    mass: npt.NDArray[np.float64] = np.diff(1 - edges**-SHAPE)
    return mass


def kept_sizes(available: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """Draw the number of good images that each class keeps.

    Args:
        available: (C,) number of good images of each class.
        seed: Seed of the generator.

    Returns:
        (C,) kept images; the class with the largest share keeps all.
    """
    mass = share_of_classes(len(available))
    # The released lists need the shuffle of NumPy's legacy generator, which never changes.
    np.random.RandomState(seed).shuffle(mass)
    scale = available[np.argmax(mass)] / mass.max()
    sizes: npt.NDArray[np.int64] = np.clip(np.round(mass * scale), SMALLEST, available).astype(np.int64)
    return sizes


def spread_over_heads(sizes: dict[str, int], total: int, source: random.Random) -> dict[str, int]:
    """Distribute `total` defects over the head classes by draws in proportion to their sizes.

    Returns the number of defects by class, in the order of their first draw.
    """
    tickets = [category for category, size in sizes.items() for _ in range(size)]
    source.shuffle(tickets)
    counts: dict[str, int] = {}
    for category in tickets:
        if sum(counts.values()) == total:
            break
        if sizes[category] >= HEAD_MINIMUM:
            counts[category] = counts.get(category, 0) + 1
    return counts


def _shortages(goods: Pools, counts: dict[str, int], total: int) -> list[str]:
    """Notes on classes with too few images and on defects that do not fit into the heads."""
    notes = []
    short = sorted(category for category, images in goods.items() if len(images) < SMALLEST)
    if short:
        notes.append(f"fewer than {SMALLEST} good images exist, so all are kept: {', '.join(short)}")
    if sum(counts.values()) < total:
        notes.append(
            f"{total} defects should be injected, but the head classes take only {sum(counts.values())} "
            f"(classes with fewer than {HEAD_MINIMUM} kept images receive none)"
        )
    return notes


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Build TailedCore's split with Pareto imbalance (section 5.1).

    Seeds 1-5 of MVTec AD and VisA are the released lists. `contamination * kept good images` defects in
    total, rounded half to even, are injected into head classes.
    """
    parsed = tailedcore.parse_noise(name, dataset)
    if parsed is None or parsed[0] != "pareto":
        return None
    tailedcore.reject_negative(seed)
    facts, noise = ablation.as_released(dataset.name, "pareto", seed, parsed[1])
    goods, defects = ablation.pools(dataset, facts)
    source = random.Random(facts.generator_seed)
    available = np.array([len(images) for images in goods.values()], dtype=np.int64)
    drawn = kept_sizes(available, facts.generator_seed)
    sizes = {category: int(size) for category, size in zip(goods, drawn, strict=True)}
    total = round(noise.ratio * sum(sizes.values()))
    counts = spread_over_heads(sizes, total, source)
    kept = {category: tailedcore.keep(goods[category], size, source) for category, size in sizes.items()}
    notes = _shortages(goods, counts, total)
    if noise.is_ablation:
        counts = tailedcore.ablation_counts(kept, goods, noise.ratio, HEAD_MINIMUM)
        notes = []
    injected, short = tailedcore.inject(defects, counts, source, facts)
    evidence = tailedcore.evidence_of(facts, noise)
    return assemble(
        name,
        dataset,
        seed,
        overlap,
        Chosen(kept, injected, (*([facts.note] if facts.note else []), *notes, *short)),
        parameters={"recipe": "pareto", **parsed[1].parameters},
        groups=head_and_tail(kept),
        evidence=evidence,
        source=rule_of(facts.source, evidence),
    )
