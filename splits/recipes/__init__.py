"""Split recipes by name: modules of this folder, of installed packages or of a plug-in folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from ltbench.registry import Registry, UnknownName
from ltbench.splits.datasets import Dataset
from ltbench.splits.split import Split

RECIPES = Registry("split recipe", __name__, group="recipes")
Overlap = Literal["paper", "none"]


class RecipeFamily(Protocol):
    """Interface of a module of this folder."""

    EXAMPLES: Sequence[str]
    """Example names for help texts and suggestions. A family for certain data sets lists them in ONLY_FOR."""

    @staticmethod
    def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
        """Build the split, or return None if `name` does not belong to this family."""
        ...


def families() -> Iterator[RecipeFamily]:
    """Load all families of recipes, in the order of their modules' names."""
    return (RECIPES.load(name) for name in RECIPES.names())


def names(dataset: str = "") -> list[str]:
    """Example names of all families, or of those that apply to a data set such as "realiad:pcb"."""
    kind = dataset.partition(":")[0]
    return sorted(
        name
        for family in families()
        for name in family.EXAMPLES
        if not kind or kind in getattr(family, "ONLY_FOR", (kind,))
    )


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap = "paper") -> Split:
    """Build a split by the name of its recipe.

    Args:
        name: Name of the recipe with its parameters, e.g. "step_k4_nr20".
        dataset: Data set to split.
        seed: Seed of the recipe.
        overlap: "paper" keeps injected defects in the test list, as the papers do; "none" removes them.

    Raises:
        UnknownName: If no recipe has this name.
    """
    for family in families():
        split = family.build(name, dataset, seed, overlap)
        if split is not None:
            return split
    raise UnknownName("split", name, names())
