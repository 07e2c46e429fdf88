"""The splits that papers name: what the lock holds and what an imported list is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ltbench.splits.recipes._ablation import PERCENTS as ABLATION_PERCENTS
from ltbench.splits.recipes.ltad import PUBLISHED
from ltbench.splits.recipes.meds import RELEASED_RATIOS, RELEASED_SEEDS

LTAD_SEEDS = (0, 1)
"""LTAD has one draw per configuration, unknown; these are ours."""


@dataclass(frozen=True)
class NamedSplit:
    """A split that a paper reports on."""

    paper: str
    dataset: str
    recipe: str
    seed: int

    @property
    def id(self) -> str:
        return f"{self.dataset}/{self.recipe}/seed{self.seed}"


def tailedcore() -> Iterator[NamedSplit]:
    """30 released lists, and for MVTec AD the 45 of the noise-ratio ablation; at 10 % it is the former."""
    for dataset in ("mvtec", "visa"):
        for base in ("pareto", "step_k1", "step_k4"):
            for seed in range(1, 6):
                yield NamedSplit("TailedCore", dataset, base, seed)
                if dataset == "mvtec":
                    for percent in ABLATION_PERCENTS:
                        yield NamedSplit("TailedCore", dataset, f"{base}_ablation_nr{percent:02d}", seed)


def meds() -> Iterator[NamedSplit]:
    """24 released lists: 0 % has one list per data set under any seed."""
    for dataset, ratios in RELEASED_RATIOS.items():
        yield NamedSplit("MeDS", dataset, "meds_nr00", 0)
        for percent in ratios:
            for seed in RELEASED_SEEDS:
                yield NamedSplit("MeDS", dataset, f"meds_nr{percent:02d}", seed)


def ltad() -> Iterator[NamedSplit]:
    """20 configurations."""
    for dataset, configurations in PUBLISHED.items():
        for configuration in configurations:
            for seed in LTAD_SEEDS:
                yield NamedSplit("LTAD", dataset, f"ltad_{configuration}", seed)


def named(dataset: str | None = None) -> list[NamedSplit]:
    """Of one data set, or of all."""
    clean = [NamedSplit("", name, "clean", 0) for name in ("mvtec", "visa", "dagm")]
    return [
        split
        for split in (*clean, *tailedcore(), *meds(), *ltad())
        if dataset is None or split.dataset == dataset
    ]
