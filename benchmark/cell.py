"""One cell of a table: a method on a split with a seed, and the digests that make it the same cell again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ltbench.methods.base import View
from ltbench.methods.catalog import recorded_name
from ltbench.results.cell_record import CellRecord, ViewRecord, typed_value
from ltbench.splits import recipes
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.split import Split


@dataclass(frozen=True)
class Cell:
    """One experiment as the user names it: data set, split, seed, method and its fields."""

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
    """Name of this row in its suite; without influence on results."""
    metrics: tuple[str, ...] = ()
    """Names of the metrics to compute; none = the standard ones. Other metrics of a finished cell stay."""

    @property
    def method_name(self) -> str:
        """Name on results: that of the class for a method in a file, wherever the file is."""
        name: str = recorded_name(self.method)
        return name

    @property
    def title(self) -> str:
        return f"{self.dataset} {self.split} seed {self.seed} {self.method_name}"

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics to compute."""
        from ltbench.benchmark import metrics

        return self.metrics or metrics.standard()

    def generator(self, dataset: str) -> np.random.Generator:
        """Randomness that depends on the cell alone, not on the order in which cells run.

        `dataset` is the name that the data set has, however it was typed: two paths to one folder, or two
        orders of classes, are one cell.
        """
        text = f"{dataset}/{self.split}/{self.seed}/{self.method_name}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))

    def as_recorded(self, folder: str = "") -> CellRecord:
        """The cell for its record; `folder` is its place below the results folder."""
        view = ViewRecord(self.view.resize, self.view.crop, self.view.squeeze)
        return CellRecord(
            self.dataset, self.split, self.seed, self.method, dict(self.fields), self.overlap, view,
            self.limit, self.label, folder, self.metrics,
        )  # fmt: skip

    def command(self) -> str:
        """Command line that runs this cell, quoted for a shell."""
        return self.as_recorded().command()


def cell_of(recorded: CellRecord) -> Cell:
    """Cell that a record describes."""
    view = View(recorded.view.resize, recorded.view.crop, recorded.view.squeeze)
    return Cell(
        recorded.dataset, recorded.split, recorded.seed, recorded.method, recorded.fields,
        cast(recipes.Overlap, recorded.overlap), view, recorded.limit, recorded.label,
        recorded.metrics,
    )  # fmt: skip


def build_split(cell: Cell, dataset: Dataset) -> Split:
    """The cell's split, cut to `limit` images per category if `limit` is set (and then named so)."""
    split = recipes.build(cell.split, dataset, cell.seed, cell.overlap)
    if cell.limit is None:
        return split
    name = f"{split.recipe}-limit{cell.limit}"
    note = f"cut to {cell.limit} images per category: a smoke test, not a benchmark"
    train = _first(split.train, cell.limit, lambda image: image.category)
    # Good and defective alike, so that the metrics exist.
    test = _first(split.test, cell.limit, lambda image: (image.category, image.is_defective))
    parameters = {**split.parameters, "limit": cell.limit}
    return replace(
        split, recipe=name, train=train, test=test, evidence="own", notes=(*split.notes, note),
        parameters=parameters,
    )  # fmt: skip


def open_cell_dataset(cell: Cell, data_root: Path) -> Dataset:
    return open_dataset(cell.dataset, data_root)


def config_digest(
    cell: Cell,
    method_version: int,
    method_fields: Mapping[str, Any],
    backbone_digest: str,
    *,
    auxiliary_digest: str = "",
    source_digest: str = "",
) -> str:
    """Hash of all that makes two cells "the same method": equal over splits and seeds, 64 hex digits."""
    identity = {
        "method": cell.method_name,
        "version": method_version,
        "fields": {name: _hashed(value) for name, value in method_fields.items()},
        "weights": backbone_digest,
        "view": str(cell.view),
        "overlap": cell.overlap,
    }
    if auxiliary_digest:
        identity["auxiliary"] = auxiliary_digest
    if source_digest:
        identity["source"] = source_digest
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _hashed(value: Any) -> Any:
    """A field's value in the digest; a table is a list of texts there, as in the results of version 1."""
    if not isinstance(value, Mapping):
        return value
    return [f"{name}={typed_value(part).replace(',', '|')}" for name, part in value.items()]


def _first(images: tuple[Any, ...], limit: int, kind: Any) -> tuple[Any, ...]:
    seen: dict[Any, int] = {}
    kept = []
    for image in images:
        seen[kind(image)] = seen.get(kind(image), 0) + 1
        if seen[kind(image)] <= limit:
            kept.append(image)
    return tuple(kept)
