"""Named splits, those of the papers: they are in the lock, and imported lists are compared with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ltbench.splits.recipes._ablation import PERCENTS as ABLATION_PERCENTS
from ltbench.splits.recipes.ltad import PUBLISHED
from ltbench.splits.recipes.meds import RELEASED_RATIOS, RELEASED_SEEDS

LTAD_SEEDS = (0, 1)
"""Seeds of LTAD's configurations; the paper's own draw is not known."""


@dataclass(frozen=True)
class NamedSplit:
    """Split that a paper reports results on."""

    paper: str
    dataset: str
    recipe: str
    seed: int

    @property
    def id(self) -> str:
        """Identifier "data set/recipe/seedN"."""
        return f"{self.dataset}/{self.recipe}/seed{self.seed}"


def tailedcore() -> Iterator[NamedSplit]:
    """Yield the 30 released lists of TailedCore, and the 45 of its noise-ratio ablation on MVTec AD.

    The ablation's lists at 10 % are the released ones.
    """
    for dataset in ("mvtec", "visa"):
        for base in ("pareto", "step_k1", "step_k4"):
            for seed in range(1, 6):
                yield NamedSplit("TailedCore", dataset, base, seed)
                if dataset == "mvtec":
                    for percent in ABLATION_PERCENTS:
                        yield NamedSplit("TailedCore", dataset, f"{base}_ablation_nr{percent:02d}", seed)


def meds() -> Iterator[NamedSplit]:
    """Yield the 24 released lists of MeDS, and the clean list of each data set under one seed."""
    for dataset, ratios in RELEASED_RATIOS.items():
        yield NamedSplit("MeDS", dataset, "meds_nr00", 0)
        for percent in ratios:
            for seed in RELEASED_SEEDS:
                yield NamedSplit("MeDS", dataset, f"meds_nr{percent:02d}", seed)


def ltad() -> Iterator[NamedSplit]:
    """Yield LTAD's 20 configurations with each seed."""
    for dataset, configurations in PUBLISHED.items():
        for configuration in configurations:
            for seed in LTAD_SEEDS:
                yield NamedSplit("LTAD", dataset, f"ltad_{configuration}", seed)


def named(dataset: str | None = None) -> list[NamedSplit]:
    """Named splits of one data set, or of all."""
    clean = [NamedSplit("", name, "clean", 0) for name in ("mvtec", "visa", "dagm")]
    return [
        split
        for split in (*clean, *tailedcore(), *meds(), *ltad())
        if dataset is None or split.dataset == dataset
    ]
