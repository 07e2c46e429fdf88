"""`step_k4`, `step_k1_nr20`: 60 % of the classes keep K images, the others all images and get defects."""

from __future__ import annotations

import random
import re

from ltbench.splits.datasets import Dataset
from ltbench.splits.recipes import Overlap
from ltbench.splits.recipes import _ablation as ablation
from ltbench.splits.recipes import _tailedcore as tailedcore
from ltbench.splits.recipes._assemble import (
    HEAD_MINIMUM,
    Chosen,
    assemble,
    head_and_tail,
    rule_of,
)
from ltbench.splits.split import Split

EXAMPLES = ("step_k1", "step_k4", "step_k4_nr20", "step_k4_ablation_nr05", "step_k4_ablation_nr40")

TAIL_SHARE = 0.6


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Build TailedCore's split with step imbalance (section 5.1).

    Seeds 1-5 of MVTec AD and VisA with K = 1 and 4 are the released lists. Every head class receives
    `contamination * good images` defects, rounded half to even, at most all that it has.
    """
    parsed = tailedcore.parse_noise(name, dataset)
    match = re.fullmatch(r"step_k([1-9]\d*)", parsed[0]) if parsed else None
    if parsed is None or match is None:
        return None
    tailedcore.reject_negative(seed)
    facts, noise = ablation.as_released(dataset.name, parsed[0], seed, parsed[1])
    goods, defects = ablation.pools(dataset, facts)
    source = random.Random(facts.generator_seed)
    classes = sorted(goods) if facts.alphabetical_classes else list(goods)
    tail = source.sample(classes, round(TAIL_SHARE * len(classes)))
    kept = dict(goods)
    for category in tail:
        kept[category] = tailedcore.keep(goods[category], int(match[1]), source)
    heads = [category for category in classes if category not in tail]
    if noise.is_ablation:
        counts = tailedcore.ablation_counts(kept, goods, noise.ratio, HEAD_MINIMUM)
    else:
        counts = {category: round(noise.ratio * len(goods[category])) for category in heads}
    injected, notes = tailedcore.inject(defects, counts, source, facts)
    tailedcore.replace_as_released(kept, goods, facts)
    short = [category for category in tail if len(goods[category]) < int(match[1])]
    if short:
        notes.append(f"fewer than {match[1]} good images exist, so all are kept: {', '.join(sorted(short))}")
    if not heads:
        notes.append("every class is tail: too few classes for a head, and nothing is injected")
    evidence = tailedcore.evidence_of(facts, noise)
    return assemble(
        name,
        dataset,
        seed,
        overlap,
        Chosen(kept, injected, tuple([facts.note] if facts.note else []) + tuple(notes)),
        parameters={"recipe": "step", "tail_images": int(match[1]), **parsed[1].parameters},
        groups=head_and_tail(kept),
        evidence=evidence,
        source=rule_of(facts.source, evidence),
    )
