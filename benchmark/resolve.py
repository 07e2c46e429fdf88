"""Look up the objects that a cell names: data set, split, digests, folder of results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ltbench.benchmark import record
from ltbench.benchmark.auxiliary import Auxiliary, auxiliary_of
from ltbench.benchmark.cell import Cell, build_split
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.evaluate import metric_facts
from ltbench.benchmark.settings import Settings
from ltbench.methods import catalog
from ltbench.methods.base import Method
from ltbench.methods.errors import WeightsMissing
from ltbench.results.asked import AskedCell
from ltbench.results.places import Place, below
from ltbench.results.status import Status
from ltbench.results.store import Store, StoredCell
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.split import Split


@dataclass(frozen=True)
class Prepared:
    """A cell with everything that is known before it runs."""

    cell: Cell
    dataset: Dataset
    split: Split
    method: Method
    """Method that stays unfitted: a measurement fits a copy."""
    facts: record.MethodFacts
    folder: Place
    auxiliary: Auxiliary | None = None
    """The labelled data set that the method learns from, if it declared the need."""

    def asked(self, results: Place) -> AskedCell:
        """Request of a suite for this cell, as a results folder stores it."""
        folder = below(self.folder, results)
        return AskedCell(folder, self.dataset.name, self.split.recipe, self.cell.seed, self.facts.name)

    def finished(self, store: Store) -> StoredCell | None:
        """The stored cell of this split, data, method, weights and recipes, whatever its status, or None."""
        stored = self.answer(store)
        return stored if stored is not None and not self.to_measure(stored) else None

    def answer(self, store: Store) -> StoredCell | None:
        """The stored cell of this split, data, method and weights, by whatever recipes it was measured."""
        stored = store.find(self.folder)
        if stored is None:
            return None
        same = record.identity(self.cell, self.dataset, self.split, self.facts)
        return stored if stored.record.identity == same else None

    def require_same_images(self, store: Store) -> None:
        """Raise UsageError if a finished cell was made from other images of a data set of the same name."""
        there = store.find(self.folder) if self.dataset.name.startswith("folder:") else None
        if there is None or there.status is not Status.OK:
            return
        if there.record.identity.data_digest != self.dataset.data_digest():
            raise UsageError(
                f"'{there.folder}' is a result of other images that are called '{self.dataset.name}' too: if "
                "the folder's images have changed, --force replaces it; if this is another folder, give "
                "--results another place or the folder another name"
            )

    def to_measure(self, stored: StoredCell) -> list[str]:
        """The cell's metrics of which the stored answer has no values, or values of another recipe."""
        there = stored.record.metrics
        facts = metric_facts(self.cell.view, self.cell.metric_names)
        return [
            name for name, fact in facts.items() if name not in there or there[name].recipe != fact["recipe"]
        ]


class Resolver:
    """Looks up the objects and digests of cells; each data set, split and backbone is looked up once.

    `methods` holds objects by name, for cells whose method is not in the catalogue.
    """

    def __init__(self, settings: Settings, methods: Mapping[str, Method] | None = None) -> None:
        self._settings = settings
        self._methods = methods or {}
        self._datasets: dict[str, Dataset] = {}
        self._splits: dict[tuple[object, ...], Split] = {}
        self._weights: dict[str, str | WeightsMissing] = {}

    def prepare(self, cell: Cell, weights_digest: str | None = None) -> Prepared:
        """Look up everything about a cell.

        Raises for an unknown name, a bad field, missing data or weights, an auxiliary set that leaks.
        `weights_digest` spares reading the weights, where they were read a moment ago.
        """
        dataset, split = self.dataset(cell.dataset), self.split(cell)
        method = self.method(cell)
        auxiliary = auxiliary_of(method, dataset, self.dataset)
        if weights_digest is None:
            weights_digest = self.weights_digest(method)
        facts = record.method_facts(cell, method, weights_digest, auxiliary)
        folder = self._settings.results / record.folder_of(cell, dataset, split, facts)
        return Prepared(cell, dataset, split, method, facts, folder, auxiliary)

    def method(self, cell: Cell) -> Method:
        """The cell's method; raises MethodsError for an unknown name or field."""
        if cell.method in self._methods:
            return self._methods[cell.method]
        return catalog.create(cell.method, **cell.fields)

    def dataset(self, name: str) -> Dataset:
        if name not in self._datasets:
            found = open_dataset(name, self._settings.data_root)
            # Before it is kept: the second cell must fail like the first.
            found.require_pixels()
            self._datasets[name] = found
        return self._datasets[name]

    def split(self, cell: Cell) -> Split:
        asked = (cell.dataset, cell.split, cell.seed, cell.overlap, cell.limit)
        if asked not in self._splits:
            self._splits[asked] = build_split(cell, self.dataset(cell.dataset))
        return self._splits[asked]

    def weights_digest(self, method: Method) -> str:
        """Digest of the weights that the method's fields name; "" if they name none.

        Raises WeightsMissing; missing weights are searched once only, since a hub without network is slow.
        """
        found = [self._weights_of(name) for name in catalog.pretrained(method)]
        if len(found) < 2:
            return "".join(found)
        return hashlib.sha256(" ".join(found).encode()).hexdigest()

    def _weights_of(self, backbone: str) -> str:
        if backbone not in self._weights:
            from ltbench.methods.features.backbone import identity

            try:
                self._weights[backbone] = identity(backbone, self._settings.weights_root).digest
            except WeightsMissing as error:
                self._weights[backbone] = error
        found = self._weights[backbone]
        if isinstance(found, WeightsMissing):
            raise found
        return found
