"""Splits that a person imported under a name (`ltbench splits import --name`)."""

from __future__ import annotations

from splits.datasets import Dataset
from splits.home import home_folder
from splits.interop.registry import load
from splits.recipes import Overlap
from splits.split import Split

EXAMPLES = ()


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """The list kept under `name` in the home folder."""
    return load(name, dataset, seed, overlap, home_folder())
