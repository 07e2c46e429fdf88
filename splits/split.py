"""Split into training and test images, with a digest of its lists."""

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
    """Training and test list of a data set, built by a recipe from a seed."""

    dataset: str
    recipe: str
    seed: int
    train: tuple[LabelledImage, ...]
    """Training images, ordered by key; images of the data set's test part are injected defects."""
    test: tuple[LabelledImage, ...]
    """Test images, ordered by key."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Disjoint groups of categories, the columns of a paper, e.g. {"head": (...), "tail": (...)}."""
    evidence: str = "own"
    """Grade of evidence: "release-exact", "generator-exact", "counts-only", "imported" or "own"."""
    source: str = ""
    """Paper, record or file that the list comes from."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """Recipe and its parameters, such as {"recipe": "step", "tail_images": 4, "noise": 0.2}.

    Reports group splits by them. They are not part of the digest.
    """
    notes: tuple[str, ...] = ()
    """Remarks for readers of a table: shortages, realised ratios, known contradictions."""

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            ordered = tuple(sorted(getattr(self, name), key=lambda image: image.key))
            object.__setattr__(self, name, ordered)

    @property
    def id(self) -> str:
        """Id, e.g. "mvtec/pareto/seed1"."""
        return f"{self.dataset}/{self.recipe}/seed{self.seed}"

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """All categories in alphabetical order; a class id is an index into them."""
        return tuple(sorted({image.category for image in (*self.train, *self.test)}))

    @cached_property
    def injected(self) -> tuple[LabelledImage, ...]:
        """Defective images in the training list."""
        return tuple(image for image in self.train if image.is_defective)

    @cached_property
    def overlap(self) -> int:
        """Number of injected defects that are also in the test list, as in the papers."""
        tested = {image.path for image in self.test}
        return sum(image.path in tested for image in self.injected)

    def group_of(self, category: str) -> str:
        """Group of a category; "" if it has none."""
        return next((name for name, members in self.groups.items() if category in members), "")

    def manifest(self) -> bytes:
        """Canonical bytes of the lists: a header line of JSON, then sorted "train" and "test" lines.

        Encoded as UTF-8 with "\\n" after every line. Defect types, masks and groups are not included, so that
        equal digests mean equal training and test files under any labels.
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
        """sha256 of the manifest without its header; equal lists have equal digests under any name."""
        return hashlib.sha256(self.manifest().split(b"\n", 1)[1]).hexdigest()
