"""Comparison of a list with the named splits: the equal or nearest one, and the differing files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ltbench.splits import recipes
from ltbench.splits.datasets import Dataset
from ltbench.splits.named import named
from ltbench.splits.split import Split
from ltbench.splits.verify import locked

_SHOWN = 5


@dataclass(frozen=True)
class Difference:
    """Files by which two splits differ."""

    name: str
    """Id of the split compared with."""
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Paths that only the other split has, by part ("train", "test")."""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Paths that only this split has, by part."""

    @property
    def files(self) -> int:
        """Number of differing files; an exchanged file counts twice."""
        return sum(len(paths) for side in (self.missing, self.extra) for paths in side.values())

    def listed(self) -> list[str]:
        """One line per file: "- train PATH" if missing in this split, "+ train PATH" if extra."""
        return [
            f"{sign} {part} {path}"
            for sign, side in (("-", self.missing), ("+", self.extra))
            for part, paths in side.items()
            for path in paths
        ]

    def sentence(self) -> str:
        """Describe the difference in one sentence, with the first few files."""
        if not self.files:
            return f"equal to '{self.name}'"
        shown = self.listed()
        rest = f", and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        return f"differs from '{self.name}' by {self.files} files: {', '.join(shown[:_SHOWN])}{rest}"


@dataclass(frozen=True)
class Comparison:
    """Comparison of a list with all named splits of its data set."""

    equal: tuple[str, ...]
    """Ids of the named splits with the same files in training and test."""
    nearest: Difference | None
    """Named split with the fewest differing files; None without a named split of the data set."""
    same_counts: tuple[str, ...]
    """Ids of the named splits with the same numbers of good and defective training images per class."""
    groups: Mapping[str, tuple[str, ...]]
    """Groups of the equal split, else of the first one with the same counts, else none."""

    def sentence(self) -> str:
        """Describe the comparison in one sentence."""
        if self.equal:
            return f"equal to {', '.join(repr(name) for name in self.equal)}"
        if self.nearest is None:
            return "no paper's split of this data set is known to compare with"
        counts = f"; same counts per class as {', '.join(self.same_counts)}" if self.same_counts else ""
        return self.nearest.sentence() + counts


def difference(split: Split, other: Split) -> Difference:
    """Find the files by which `split` differs from `other`."""
    missing: dict[str, tuple[str, ...]] = {}
    extra: dict[str, tuple[str, ...]] = {}
    for part in ("train", "test"):
        mine = Counter(image.path for image in getattr(split, part))
        theirs = Counter(image.path for image in getattr(other, part))
        missing[part] = tuple(sorted((theirs - mine).elements()))
        extra[part] = tuple(sorted((mine - theirs).elements()))
    return Difference(other.id, missing, extra)


def train_counts(split: Split) -> Counter[tuple[str, bool]]:
    """Count training images by (category, is defective)."""
    return Counter((image.category, image.is_defective) for image in split.train)


def candidates(split: Split, dataset: Dataset) -> Iterable[Split]:
    """Build all named splits of the data set, one by one."""
    for name in named(split.dataset):
        yield recipes.build(name.recipe, dataset, name.seed)


def compare(split: Split, dataset: Dataset) -> Comparison:
    """Compare a split with every named one of its data set, by digest first, since that is immediate."""
    equal = [row for row in locked().values() if row["digest"] == split.digest]
    if equal:
        ids = tuple(f"{row['dataset']}/{row['recipe']}/seed{row['seed']}" for row in equal)
        first = recipes.build(equal[0]["recipe"], dataset, int(equal[0]["seed"]))
        return Comparison(ids, Difference(ids[0]), ids, first.groups)
    same: list[str] = []
    nearest: Difference | None = None
    groups: Mapping[str, tuple[str, ...]] = {}
    counts = train_counts(split)
    for other in candidates(split, dataset):
        if train_counts(other) == counts:
            groups = groups if same else other.groups
            same.append(other.id)
        candidate = difference(split, other)
        if nearest is None or candidate.files < nearest.files:
            nearest = candidate
    return Comparison((), nearest, tuple(same), groups)
