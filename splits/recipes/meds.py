"""`meds_nr10`: contamination of every class as in MeDS (Safarov et al., arXiv 2605.26676)."""

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
    """Injected images of a released list; None if no list was released.

    Args:
        dataset: Name of the data set.
        percent: Noise ratio in percent.
        seed: Seed of the split.
        defects: Defective test images by category.
    """
    if percent == 0:
        return []
    rows = inventories.table("meds.csv")
    row = next(
        (r for r in rows if (r["dataset"], int(r["percent"]), int(r["seed"])) == (dataset, percent, seed)),
        None,
    )
    if row is None:
        return None
    pool = sorted((image for images in defects.values() for image in images), key=lambda image: image.path)
    return [pool[position] for position in inventories.positions(row["injected"])]


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Build a split of all good images with `ratio * goods` injected defects in every class.

    Seeds 0, 10, 20, 30 of MVTec AD (10, 20, 40 %) and VisA (2, 5, 10 %) are the released lists. Suffixes of
    the name: `_total` relates the ratio to all images instead of the good ones, `_error` and `_resample` are
    policies on too few defects (default: inject all), `_stratified` draws from each defect type.
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
