"""TailedCore's split generator (Jung et al., CVPR 2025; roomo7time/tailedcore) and facts of its release.

The generator depends on the order in which the authors' disk listed classes and files. The data set's listing
order is used in its place (for MVTec AD and VisA the recovered order, see `ltbench.splits.inventories`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ltbench.splits.datasets import Dataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage
from ltbench.splits.recipes._assemble import Pools
from ltbench.splits.split import Parameter

SOURCE = "TailedCore (CVPR 2025), github.com/jungyg/TailedCore manifest/"

# Generator seeds behind the released seed01..seed05, found by replaying the generator over many seeds.
_GENERATOR_SEEDS = {
    ("mvtec", "pareto"): (1, 2, 508, 10, 12),
    ("mvtec", "step_k1"): (3, 4, 12, 16, 46),
    ("mvtec", "step_k4"): (0, 0, 4, 3, 7),
    ("visa", "pareto"): (207, 222, 233, 237, 245),
    ("visa", "step_k1"): (206, 213, 224, 232, 236),
    ("visa", "step_k4"): (206, 217, 232, 241, 245),
}
# The only released list whose tail was drawn from the alphabetical list of classes.
_ALPHABETICAL = ("mvtec", "step_k4", 1)
# In five releases, one tail class has other good images than the generator gives; the release decides.
_REPLACED = {
    ("mvtec", "step_k1", 2): ("screw", (113,)),
    ("mvtec", "step_k1", 3): ("grid", (181,)),
    ("mvtec", "step_k1", 4): ("capsule", (44,)),
    ("mvtec", "step_k4", 1): ("wood", (94, 136, 183, 226)),
    ("mvtec", "step_k4", 3): ("screw", (36, 53, 207, 231)),
}


@dataclass(frozen=True)
class Provenance:
    """Inputs of the generator for a (data set, recipe, seed), and the evidence of the resulting list."""

    generator_seed: int
    alphabetical_classes: bool = False
    """Whether the tail is drawn from the alphabetical list of classes."""
    replaced: tuple[str, tuple[str, ...]] | None = None
    """Category whose kept images differ from the generator's in the release, and their paths."""
    evidence: str = "own"
    note: str = ""
    source: str = SOURCE
    is_relisted: bool = False
    """Whether the generator ran on the machine whose listing order is in `ablation_nr05.csv`."""
    left_out: Mapping[str, Collection[int]] | None = None
    """Omitted defects by category, as positions in path order; None = injected defects are drawn."""


def provenance(dataset: str, base: str, seed: int) -> Provenance:
    """Provenance of a list; seeds 1-5 of released recipes are the released lists.

    Args:
        dataset: Name of the data set.
        base: Recipe without its noise: "pareto", "step_k1", "step_k4", ...
        seed: Seed of the split.
    """
    seeds = _GENERATOR_SEEDS.get((dataset, base))
    if seeds is None or not 1 <= seed <= len(seeds):
        known = dataset in ("mvtec", "visa")
        return Provenance(seed, evidence="generator-exact" if known else "own")
    name = (dataset, base, seed)
    replaced, note = None, f"released as seed{seed:02d}, made by the generator's seed {seeds[seed - 1]}"
    if name in _REPLACED:
        category, numbers = _REPLACED[name]
        replaced = (category, tuple(f"{category}/train/good/{number:03d}.png" for number in numbers))
        note += f"; class '{category}' holds other images than the generator gives, kept as released"
    return Provenance(seeds[seed - 1], name == _ALPHABETICAL, replaced, "release-exact", note)


@dataclass(frozen=True)
class Noise:
    """Contamination in the name of a recipe, e.g. "_nr05"."""

    ratio: float
    is_released: bool
    """Whether the authors released it: the data set's default ratio, or a list of the ablation."""
    is_ablation: bool
    """Whether `ablation_counts` gives the number of defects of each class."""

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the split's record."""
        return {"noise": self.ratio, **({"ablation": True} if self.is_ablation else {})}


_NOISE = re.compile(r"(?P<base>.+?)(?P<ablation>_ablation)?(_nr(?P<percent>\d\d))?")


def parse_noise(name: str, dataset: Dataset) -> tuple[str, Noise] | None:
    """Split the name of a recipe into its base and its noise, e.g. "step_k1_nr20" into "step_k1" and 20 %.

    Without "_nrNN" the noise is the data set's default. None if the name does not have this form.
    """
    match = _NOISE.fullmatch(name)
    if match is None or (match["ablation"] and not match["percent"]):
        return None
    ratio = dataset.default_contamination if match["percent"] is None else int(match["percent"]) / 100
    is_released = ratio == dataset.default_contamination and not match["ablation"]
    return match["base"], Noise(ratio, is_released, bool(match["ablation"]))


def keep(images: Sequence[LabelledImage], count: int, source: random.Random) -> list[LabelledImage]:
    """Draw `count` images by shuffling; all images, without a draw, if there are no more."""
    if len(images) <= count:
        return list(images)
    shuffled = list(images)
    source.shuffle(shuffled)
    return shuffled[:count]


def replace_as_released(kept: Pools, goods: Pools, facts: Provenance) -> None:
    """Replace the kept images of the class that differs in the release by the released ones, in place."""
    if facts.replaced is not None:
        category, paths = facts.replaced
        kept[category] = [image for image in goods[category] if image.path in paths]


def inject(
    defects: Pools, counts: dict[str, int], source: random.Random, facts: Provenance
) -> tuple[list[LabelledImage], list[str]]:
    """Choose the injected defects.

    Args:
        defects: Available defects by category.
        counts: Number of defects by category.
        source: Random numbers of the draw.
        facts: Provenance of the list; if it names omitted defects, all others are injected without a draw.

    Returns:
        Injected defects in the order of `counts`, and a note for each shortage.
    """
    drawn: list[LabelledImage] = []
    notes: list[str] = []
    for category, wanted in counts.items():
        pool = defects[category]
        if wanted > len(pool):
            notes.append(f"class '{category}' should receive {wanted} defects, but only {len(pool)} exist")
        if facts.left_out is None:
            drawn += source.sample(pool, min(wanted, len(pool)))
        else:
            left_out = facts.left_out.get(category, ())
            by_path = sorted(pool, key=lambda image: image.path)
            drawn += [image for position, image in enumerate(by_path) if position not in left_out]
    return drawn, notes


def evidence_of(facts: Provenance, noise: Noise) -> str:
    """Grade of evidence of a list; the ablation's draw of defects had no seed, so only counts are known."""
    if facts.evidence == "own" or noise.is_released:
        return facts.evidence
    return "counts-only" if noise.is_ablation and noise.ratio > 0 else "generator-exact"


def ablation_counts(kept: Pools, goods: Pools, ratio: float, minimum: int) -> dict[str, int]:
    """Number of defects by class in the noise ablation: a share of all good images of each head class.

    Args:
        kept: Kept good images by class.
        goods: All good images by class.
        ratio: Noise ratio.
        minimum: Number of kept images from which a class receives defects.
    """
    return {
        category: int(ratio * len(goods[category]))
        for category, images in kept.items()
        if len(images) >= minimum
    }


def reject_negative(seed: int) -> None:
    """Raise SplitsError for a seed that the generator cannot take."""
    if not 0 <= seed < 2**32:
        raise SplitsError(f"seed '{seed}' cannot be used: expected a whole number from 0 to {2**32 - 1}")
