"""Split recipes by name: modules of this folder, of installed packages or of a person's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from ltbench.registry import Registry, UnknownName
from ltbench.splits.datasets import Dataset
from ltbench.splits.split import Split

RECIPES = Registry("split recipe", __name__, group="recipes")
Overlap = Literal["paper", "none"]


class RecipeFamily(Protocol):
    """A module of this folder."""

    EXAMPLES: Sequence[str]
    """Names that people type, for help texts and for "did you mean". A family that exists for some data sets
    alone names their kinds in ONLY_FOR."""

    @staticmethod
    def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
        """The split, or None if `name` is not one of this family's."""
        ...


def families() -> Iterator[RecipeFamily]:
    """All families of recipes, by the names of their modules."""
    return (RECIPES.load(name) for name in RECIPES.names())


def names(dataset: str = "") -> list[str]:
    """Example names of every family, or of those that can be built for a data set ("realiad:pcb")."""
    kind = dataset.partition(":")[0]
    return sorted(
        name
        for family in families()
        for name in family.EXAMPLES
        if not kind or kind in getattr(family, "ONLY_FOR", (kind,))
    )


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap = "paper") -> Split:
    """Build the split that recipe `name` makes of `dataset` with `seed`.

    `overlap="paper"` leaves injected defects in the test list, as the papers do; "none" takes them out.
    """
    for family in families():
        split = family.build(name, dataset, seed, overlap)
        if split is not None:
            return split
    raise UnknownName("split", name, names())
