"""Splits that a person imported under a name (`ltbench splits import --name`)."""

from __future__ import annotations

from ltbench.splits.datasets import Dataset
from ltbench.splits.home import home_folder
from ltbench.splits.interop.registry import load
from ltbench.splits.recipes import Overlap
from ltbench.splits.split import Split

EXAMPLES = ()


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """The list kept under `name` in the home folder."""
    return load(name, dataset, seed, overlap, home_folder())
