"""`meds_nr10`: MeDS' contamination of every class (Safarov et al., arXiv 2605.26676), released or drawn."""

from __future__ import annotations

import re
from typing import cast

from ltbench.splits import inventories
from ltbench.splits.datasets import Dataset
from ltbench.splits.images import LabelledImage
from ltbench.splits.recipes import Overlap
from ltbench.splits.recipes._assemble import Chosen, Pools, assemble, rule_of, test_defects, train_goods
from ltbench.splits.recipes._contaminate import Contamination, Shortage, draw_defects, realised
from ltbench.splits.split import Split

EXAMPLES = ("meds_nr00", "meds_nr10", "meds_nr20", "meds_nr40", "meds_nr10_total_stratified")

RELEASED_SEEDS = (0, 10, 20, 30)
RELEASED_RATIOS = {"mvtec": (10, 20, 40), "visa": (2, 5, 10)}
SOURCE = "MeDS, github.com/SirojbekSafarov/MeDS dinomaly/data"

_NAME = re.compile(r"meds_nr(\d\d)(_total)?(_error|_resample)?(_stratified)?")


def released(dataset: str, percent: int, seed: int, defects: Pools) -> list[LabelledImage] | None:
    """The injected images of a released list, or None if there is none."""
    if percent == 0:
        return []
    rows = inventories.table("meds.csv")
    found = next(
        (r for r in rows if (r["dataset"], int(r["percent"]), int(r["seed"])) == (dataset, percent, seed)),
        None,
    )
    if found is None:
        return None
    pool = sorted((image for images in defects.values() for image in images), key=lambda image: image.path)
    return [pool[position] for position in inventories.positions(found["injected"])]


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """All goods, and in every class `ratio * goods` of its defects, at most all it has.

    Seeds 0, 10, 20, 30 of MVTec AD (10, 20, 40 %) and VisA (2, 5, 10 %) are the released lists. Suffixes:
    `_total` takes the ratio of all images instead of the goods, `_error` and `_resample` change what happens
    when a class runs out of defects, `_stratified` spreads over the defect types.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    percent, options = int(match[1]), any(match[index] for index in (2, 3, 4))
    goods, defects = train_goods(dataset), test_defects(dataset) if int(match[1]) else {}
    contamination = Contamination(
        ratio=percent / 100,
        base="total" if match[2] else "normal",
        shortage=cast(Shortage, (match[3] or "_cap")[1:]),
        stratified=bool(match[4]),
    )
    counts = {category: len(images) for category, images in goods.items()}
    official = dataset.name in RELEASED_RATIOS
    injected = released(dataset.name, percent, seed, defects) if official and not options else None
    notes: list[str] = []
    if injected is not None:
        evidence = "release-exact"
    else:
        key = ("meds", dataset.name, name, seed)
        injected, notes = draw_defects(contamination, counts, defects, *key) if percent else ([], [])
        ruled = official and not options and percent in RELEASED_RATIOS[dataset.name]
        evidence = "counts-only" if ruled else "own"
        if ruled:
            notes.append(
                f"MeDS released seeds {', '.join(map(str, RELEASED_SEEDS))}; seed {seed} is drawn here"
            )
    return assemble(
        name,
        dataset,
        seed,
        overlap,
        Chosen(goods, injected, (realised(sum(counts.values()), len(injected), contamination), *notes)),
        parameters={
            "recipe": "meds",
            "noise": contamination.ratio,
            **({"noise_of": "total"} if match[2] else {}),
            **({"shortage": contamination.shortage} if match[3] else {}),
            **({"stratified": True} if match[4] else {}),
        },
        groups={},
        evidence=evidence,
        source=rule_of(SOURCE, evidence),
    )
