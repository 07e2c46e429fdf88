"""Splits imported by the user under a name (`ltbench splits import --name`)."""

from __future__ import annotations

from ltbench.splits.datasets import Dataset
from ltbench.splits.home import home_folder
from ltbench.splits.interop.registry import load
from ltbench.splits.recipes import Overlap
from ltbench.splits.split import Split

EXAMPLES = ()


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Load the split stored under `name` in the home folder; None if there is none."""
    return load(name, dataset, seed, overlap, home_folder())
