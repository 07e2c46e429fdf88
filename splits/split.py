"""A split: which images train, which judge, and the digest that proves it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ltbench.splits.images import LabelledImage

MANIFEST_VERSION = 1
Parameter = str | int | float | bool


@dataclass(frozen=True)
class Split:
    """One training and one test list over a data set, made by a recipe from a seed."""

    dataset: str
    recipe: str
    seed: int
    train: tuple[LabelledImage, ...]
    """Ordered by key. Images of the test part in here are injected defects."""
    test: tuple[LabelledImage, ...]
    """Ordered by key."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Disjoint named sets of categories, e.g. {"head": (...), "tail": (...)}: a paper's columns."""
    evidence: str = "own"
    """How the list is known: "release-exact", "generator-exact", "counts-only", "imported" or "own"."""
    source: str = ""
    """Paper, record or file that the list comes from."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """Recipe and its numbers, such as {"recipe": "step", "tail_images": 4, "noise": 0.2}; reports group by
    them. They do not enter the digest."""
    notes: tuple[str, ...] = ()
    """What a reader of a table should know: a shortage, a realised ratio, a known contradiction."""

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            ordered = tuple(sorted(getattr(self, name), key=lambda image: image.key))
            object.__setattr__(self, name, ordered)

    @property
    def id(self) -> str:
        """E.g. "mvtec/pareto/seed1"."""
        return f"{self.dataset}/{self.recipe}/seed{self.seed}"

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """All categories that are tested, alphabetical; a class id is a position in here."""
        return tuple(sorted({image.category for image in (*self.train, *self.test)}))

    @cached_property
    def injected(self) -> tuple[LabelledImage, ...]:
        """Defective images in the training list."""
        return tuple(image for image in self.train if image.is_defective)

    @cached_property
    def overlap(self) -> int:
        """Number of injected defects that are also tested, as the papers do."""
        tested = {image.path for image in self.test}
        return sum(image.path in tested for image in self.injected)

    def group_of(self, category: str) -> str:
        """Name of the category's group, "" if it is in none."""
        return next((name for name, members in self.groups.items() if category in members), "")

    def manifest(self) -> bytes:
        """Canonical bytes: one header line of JSON, then sorted "train" and "test" lines.

        UTF-8, "\\n" after every line. Defect types, masks and groups are left out: two labs with the same
        digest trained and tested on the same files, whatever they call them.
        """
        header = {
            "manifest": MANIFEST_VERSION,
            "dataset": self.dataset,
            "recipe": self.recipe,
            "seed": self.seed,
        }
        lines = [json.dumps(header, sort_keys=True, separators=(",", ":"))]
        lines += [f"train\t{path}" for path in sorted(image.path for image in self.train)]
        lines += [f"test\t{path}" for path in sorted(image.path for image in self.test)]
        return ("\n".join(lines) + "\n").encode()

    @cached_property
    def digest(self) -> str:
        """sha256 over the manifest's body (not its header): equal lists have equal digests under any name."""
        return hashlib.sha256(self.manifest().split(b"\n", 1)[1]).hexdigest()
