"""Look up the objects that a cell names: data set, split, digests, folder of results."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ltbench.benchmark import record
from ltbench.benchmark.auxiliary import Auxiliary, auxiliary_of
from ltbench.benchmark.cell import Cell, build_split
from ltbench.benchmark.evaluate import metric_facts
from ltbench.benchmark.settings import Settings
from ltbench.methods import catalog
from ltbench.methods.errors import WeightsMissing
from ltbench.results.places import Place
from ltbench.results.store import Store, StoredCell
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.split import Split


@dataclass(frozen=True)
class Prepared:
    """A cell with everything that is known before it runs."""

    cell: Cell
    dataset: Dataset
    split: Split
    facts: record.MethodFacts
    folder: Place
    auxiliary: Auxiliary | None = None
    """The labelled data set that the method learns from, if it declared the need."""

    def finished(self, store: Store) -> StoredCell | None:
        """The stored cell of this split, data, method, weights and recipes, whatever its status, or None."""
        stored = self.answer(store)
        return stored if stored is not None and self.is_measured_alike(stored) else None

    def answer(self, store: Store) -> StoredCell | None:
        """The stored cell of this split, data, method and weights, by whatever recipes it was measured."""
        stored = store.find(self.folder)
        if stored is None:
            return None
        same = record.identity(self.cell, self.dataset, self.split, self.facts)
        return stored if stored.record["identity"] == same else None

    def is_measured_alike(self, stored: StoredCell) -> bool:
        """Whether the recipes of the stored values are those of today."""
        recipes = {name: fact["recipe"] for name, fact in metric_facts(self.cell.view).items()}
        return recipes == {name: fact["recipe"] for name, fact in stored.record["metrics"].items()}


class Resolver:
    """Looks up the objects and digests of cells; each data set, split and backbone is looked up once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._datasets: dict[str, Dataset] = {}
        self._splits: dict[tuple[object, ...], Split] = {}
        self._weights: dict[str, str | WeightsMissing] = {}

    def prepare(self, cell: Cell, weights_digest: str | None = None) -> Prepared:
        """Look up everything about a cell.

        Raises for an unknown name, a bad field, missing data or weights, an auxiliary set that leaks.
        `weights_digest` spares reading the weights, where they were read a moment ago.
        """
        dataset, split = self.dataset(cell.dataset), self.split(cell)
        auxiliary = auxiliary_of(catalog.create(cell.method, **cell.fields), dataset, self.dataset)
        if weights_digest is None:
            weights_digest = self.weights_digest(cell)
        facts = record.method_facts(cell, weights_digest, auxiliary)
        store = Store(self._settings.results)
        folder = store.folder(dataset.name, split.recipe, cell.seed, cell.method, facts.config_digest)
        return Prepared(cell, dataset, split, facts, folder, auxiliary)

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

    def weights_digest(self, cell: Cell) -> str:
        """Digest of the weights that the method's fields name, "" where there are none.

        Raises WeightsMissing; what is missing is looked for once, since a hub without network takes its time.
        """
        method = catalog.create(cell.method, **cell.fields)
        found = [self._weights_of(name) for name in catalog.pretrained(method)]
        if len(found) < 2:
            return "".join(found)
        return hashlib.sha256(" ".join(found).encode()).hexdigest()

    def _weights_of(self, backbone: str) -> str:
        if backbone not in self._weights:
            from ltbench.methods.features.backbone import load

            try:
                self._weights[backbone] = load(backbone, "cpu", self._settings.weights_root).digest
            except WeightsMissing as error:
                self._weights[backbone] = error
        found = self._weights[backbone]
        if isinstance(found, WeightsMissing):
            raise found
        return found
