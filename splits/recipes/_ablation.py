"""TailedCore's noise-ratio ablation on MVTec AD: 0, 5, 10 and 40 %, seeds 1-5, as in the authors' repository.

At 10 % it equals the main release. 0 and 40 % keep the release's good images; the draw of 40 % had no seed,
so the defects that it omits are stored in a table. 5 % was drawn again, on a machine that listed classes and
files in another order.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import PurePosixPath

from ltbench.splits import inventories
from ltbench.splits.datasets import Dataset
from ltbench.splits.images import LabelledImage
from ltbench.splits.recipes._assemble import Pools, test_defects, train_goods
from ltbench.splits.recipes._tailedcore import Noise, Provenance, provenance

SOURCE = "TailedCore (CVPR 2025), github.com/roomo7time/tailedcore data_configs/"
PERCENTS = (0, 5, 40)
"""Noise ratios whose lists are not in the main release."""
_SEED_OFFSET = 100


def as_released(dataset: str, base: str, seed: int, noise: Noise) -> tuple[Provenance, Noise]:
    """Provenance and noise of a list, adjusted if it is a released list of the ablation.

    Args:
        dataset: Name of the data set.
        base: Recipe without its noise, e.g. "step_k4".
        seed: Seed of the split.
        noise: Noise in the name of the recipe.
    """
    facts = provenance(dataset, base, seed)
    percent = round(100 * noise.ratio)
    if not noise.is_ablation or dataset != "mvtec" or facts.evidence != "release-exact":
        return facts, noise
    if percent == 10:
        # The counts follow the main release, too; the ablation's own rule rounds them down.
        return facts, Noise(noise.ratio, is_released=True, is_ablation=False)
    if percent == 5:
        return _relisted_provenance(seed), Noise(noise.ratio, is_released=True, is_ablation=False)
    if percent not in PERCENTS:
        return facts, noise
    if percent == 40:
        note = f"{facts.note}; its defects were drawn without a seed, so the list is kept as a table"
        facts = replace(facts, note=note, left_out=_left_out()[base, seed])
    return replace(facts, source=SOURCE), replace(noise, is_released=True)


def _relisted_provenance(seed: int) -> Provenance:
    """Provenance of a list generated on the machine whose listing order is in `ablation_nr05.csv`."""
    note = (
        f"released for the noise ablation, made by the generator's seed {_SEED_OFFSET + seed} on another "
        "listing order: other good images and other head classes than at 0, 10 and 40 %"
    )
    return Provenance(
        _SEED_OFFSET + seed, evidence="release-exact", note=note, source=SOURCE, is_relisted=True
    )


def pools(dataset: Dataset, facts: Provenance) -> tuple[Pools, Pools]:
    """Good training images and test defects of each category, in the generator's listing order."""
    goods, defects = train_goods(dataset), test_defects(dataset)
    if not facts.is_relisted:
        return goods, defects
    return _relisted(goods), _relisted(defects)


def _relisted(images: Pools) -> Pools:
    """Sort the images of each category by the listing order under which the relisted lists were drawn."""
    folders, ranks = _listing()

    def place(image: LabelledImage) -> tuple[int, int]:
        folder = folders[image.category].index(image.defect) if image.is_defective else 0
        return folder, ranks[int(PurePosixPath(image.path).stem)]

    return {category: sorted(images[category], key=place) for category in folders}


@cache
def _listing() -> tuple[dict[str, list[str]], dict[int, int]]:
    """Listing order of the relisted lists: defect folders by class, and rank of each file number."""
    order = {row["class"]: row["order"] for row in inventories.table("ablation_nr05.csv")}
    ranks = {number: rank for rank, number in enumerate(inventories.numbers(order.pop("*")))}
    return {category: folders.split() for category, folders in order.items()}, ranks


@cache
def _left_out() -> dict[tuple[str, int], dict[str, frozenset[int]]]:
    """Defects that the list at 40 % omits: positions in path order, by (recipe, seed), then class."""
    omitted: dict[tuple[str, int], dict[str, frozenset[int]]] = {}
    for row in inventories.table("ablation_nr40.csv"):
        classes = omitted.setdefault((row["recipe"], int(row["seed"])), {})
        classes[row["class"]] = frozenset(inventories.numbers(row["left_out"]))
    return omitted
