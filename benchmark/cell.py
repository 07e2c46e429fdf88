"""One cell of a table: a method on a split with a seed, and the digests that make it the same cell again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ltbench.methods.base import View
from ltbench.splits import recipes
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.split import Split


@dataclass(frozen=True)
class Cell:
    """What a person asked for, in words; everything else follows from it."""

    dataset: str
    split: str
    seed: int
    method: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Hyper-parameters that differ from the method's defaults."""
    overlap: recipes.Overlap = "paper"
    view: View = field(default_factory=View)
    limit: int | None = None
    """Images per category in training and test, for a smoke test; None = all."""
    label: str = ""
    """What the suite calls this row; changes nothing."""

    @property
    def title(self) -> str:
        return f"{self.dataset} {self.split} seed {self.seed} {self.method}"

    def generator(self, dataset: str) -> np.random.Generator:
        """Randomness that depends on the cell alone, not on the order in which cells run.

        `dataset` is the name that the data set has, however it was typed: two paths to one folder, or two
        orders of classes, are one cell.
        """
        text = f"{dataset}/{self.split}/{self.seed}/{self.method}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))

    def command(self) -> str:
        """The command line that makes this cell, quoted for a shell."""
        words = [
            "ltbench", "run", "--method", self.method, "--dataset", self.dataset, "--split", self.split,
            "--seed", str(self.seed),
        ]  # fmt: skip
        for name, value in sorted(self.fields.items()):
            words += ["--set", f"{name}={_typed(value)}"]
        if self.overlap != "paper":
            words += ["--overlap", self.overlap]
        if self.view != View():
            words += ["--view", f"{'squeeze' * self.view.squeeze}{self.view.resize}/{self.view.crop}"]
        if self.limit is not None:
            words += ["--limit", str(self.limit)]
        return shlex.join(words)


def _typed(value: Any) -> str:
    """A field's value as a command line has it: "none", "true", "a,b", "0.5"."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ",".join(map(_typed, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def build_split(cell: Cell, dataset: Dataset) -> Split:
    """The cell's split, cut to `limit` images per category where asked (and then named so)."""
    split = recipes.build(cell.split, dataset, cell.seed, cell.overlap)
    if cell.limit is None:
        return split
    name = f"{split.recipe}-limit{cell.limit}"
    note = f"cut to {cell.limit} images per category: a smoke test, not a benchmark"
    train = _first(split.train, cell.limit, lambda image: image.category)
    # Good and defective alike, so that the metrics exist.
    test = _first(split.test, cell.limit, lambda image: (image.category, image.is_defective))
    return replace(split, recipe=name, train=train, test=test, evidence="own", notes=(*split.notes, note))


def open_cell_dataset(cell: Cell, data_root: Path) -> Dataset:
    return open_dataset(cell.dataset, data_root)


def config_digest(
    cell: Cell,
    method_version: int,
    method_fields: Mapping[str, Any],
    backbone_digest: str,
    auxiliary_digest: str = "",
) -> str:
    """Hash of all that makes two cells "the same method": equal over splits and seeds, 64 hex digits."""
    identity = {
        "method": cell.method,
        "version": method_version,
        "fields": dict(method_fields),
        "weights": backbone_digest,
        "view": str(cell.view),
        "overlap": cell.overlap,
    }
    if auxiliary_digest:
        identity["auxiliary"] = auxiliary_digest
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _first(images: tuple[Any, ...], limit: int, kind: Any) -> tuple[Any, ...]:
    seen: dict[Any, int] = {}
    kept = []
    for image in images:
        seen[kind(image)] = seen.get(kind(image), 0) + 1
        if seen[kind(image)] <= limit:
            kept.append(image)
    return tuple(kept)
