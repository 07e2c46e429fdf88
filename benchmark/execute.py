"""Run one cell from its name to its record: the table of contents of a measurement."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from benchmark import gallery, record
from benchmark.auxiliary import Auxiliary, auxiliary_of
from benchmark.cell import Cell, build_split
from benchmark.device import accelerator
from benchmark.evaluate import check_prediction, evaluate, metric_facts
from benchmark.kept_maps import KeptMaps, are_kept
from benchmark.recompute import reevaluate
from benchmark.settings import Settings
from benchmark.stopwatch import Stopwatch
from methods import catalog
from methods.base import Context, Method, Prediction, Progress, no_progress
from methods.errors import WeightsMissing
from results.places import Place
from results.ranking import has_ranking
from results.schema import CURVES, METRICS, SCORES, table
from results.status import Status
from results.store import CURVES_FILE, MAPS_FILE, METRICS_FILE, SCORES_FILE, CellWriter, Store, StoredCell
from splits.datasets import Dataset, open_dataset
from splits.images import ImageSet, LabelledImage
from splits.split import Split

if TYPE_CHECKING:
    from methods.features.cache import FeatureCache


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
        """The stored answer to exactly this question, whatever its status; None if there is none."""
        stored = self.answer(store)
        return stored if stored is not None and self.is_measured_alike(stored) else None

    def answer(self, store: Store) -> StoredCell | None:
        """What is stored for this split, data, method and weights, by whatever recipes it was measured."""
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
    """From a cell's names to its objects and digests; each data set, split and backbone is looked up once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._datasets: dict[str, Dataset] = {}
        self._splits: dict[tuple[object, ...], Split] = {}
        self._weights: dict[str, str | WeightsMissing] = {}

    def prepare(self, cell: Cell, weights_digest: str | None = None) -> Prepared:
        """Raises for an unknown name, a bad field, missing data or weights, an auxiliary set that leaks.

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
            from methods.features.backbone import load

            try:
                self._weights[backbone] = load(backbone, "cpu", self._settings.weights_root).digest
            except WeightsMissing as error:
                self._weights[backbone] = error
        found = self._weights[backbone]
        if isinstance(found, WeightsMissing):
            raise found
        return found


def execute(
    prepared: Prepared,
    settings: Settings,
    *,
    cache: FeatureCache | None = None,
    progress: Progress = no_progress,
    keep_maps: KeptMaps = "small",
    rank: bool = False,
    force: bool = False,
    machine: Mapping[str, Any] | None = None,
) -> StoredCell:
    """Fit, score, evaluate and store one cell; return the stored one if another process was faster.

    If only metric recipes have changed since and the maps were kept, the values alone are made anew.
    `machine` is `environment()` if the caller has it. Raises whatever the method raises: isolation and
    failure rows are the engine's business.
    """
    cell, split = prepared.cell, prepared.split
    store = Store(settings.results)
    with cell_lock(prepared.folder, settings):
        stored = prepared.answer(store)
        if stored is not None and stored.status is Status.OK and not force and _has_all(stored, rank):
            if prepared.is_measured_alike(stored):
                return stored
            again = reevaluate(stored, split, prepared.dataset, cell.view)
            if not again.why_not:
                return again.cell
        base = record.base_record(cell, prepared.dataset, split, prepared.facts, machine)
        base["environment"]["accelerator"] = accelerator(settings.device)
        writer = CellWriter(prepared.folder, base)
        watch = Stopwatch(settings.device, _threads())
        figures: dict[str, float] = {}
        work = settings.local(prepared.folder) / "work"
        context = Context(
            rng=cell.generator(prepared.dataset.name),
            view=cell.view,
            device=settings.device,
            cache=cache,
            weights_root=settings.weights_root,
            auxiliary=prepared.auxiliary.for_method() if prepared.auxiliary else None,
            work=work,
            progress=progress,
            report=figures.__setitem__,
        )
        method = catalog.create(cell.method, **cell.fields)
        with watch.time("fit"):
            method.fit(images_for(method, "fit", split.train, prepared), context)
        with watch.time("score"):
            prediction = method.score(images_for(method, "score", split.test, prepared), context)
        check_prediction(prediction, len(split.test))
        with watch.time("evaluate"):
            judged = evaluate(
                prediction, split, prepared.dataset, cell.view, kept_regions=settings.home / "regions"
            )
            values = list(progress(judged, "evaluate", len(split.categories)))
        base |= {
            "figures": figures,
            "timing": watch.facts(len(split.test)),
            "map_post": asdict(prediction.post),
        }
        writer.write_table(METRICS_FILE, table(record.metric_rows(base, values, Status.OK), METRICS))
        writer.write_table(SCORES_FILE, table(record.score_rows(split, prediction), SCORES))
        if curves := record.curve_rows(values):
            writer.write_table(CURVES_FILE, table(curves, CURVES))
        if rank:
            from benchmark.label_correction import rank_training

            base["label_correction"] = rank_training(method, prepared, context, writer)
        base["gallery"] = _store_gallery(prepared, prediction, writer, settings)
        if cache is not None:
            base["cache"] = asdict(cache.stats())
        if prediction.grids is not None and are_kept(np.shape(prediction.grids), keep_maps):
            writer.write_array(MAPS_FILE, np.asarray(prediction.grids, dtype=np.float32))
        finished = writer.finish({**base, "status": str(Status.OK), "error": ""})
        # Checkpoints served a cell that might be killed.
        shutil.rmtree(work, ignore_errors=True)
        return finished


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())


def _has_all(stored: StoredCell, rank: bool) -> bool:
    """Whether a finished cell also holds the ranking that is asked for now."""
    return has_ranking(stored) or not rank


def store_failure(prepared: Prepared, status: Status, error: str, log_tail: str) -> StoredCell:
    """Write the record and null rows of a cell whose process did not come back with an answer."""
    base = record.base_record(prepared.cell, prepared.dataset, prepared.split, prepared.facts)
    writer = CellWriter(prepared.folder, base)
    values = record.failed_values(base, status)
    writer.write_table(METRICS_FILE, table(record.metric_rows(base, values, status, error), METRICS))
    return writer.finish({**base, "status": str(status), "error": error, "log_tail": log_tail})


def images_for(method: Method, stage: str, images: tuple[LabelledImage, ...], prepared: Prepared) -> ImageSet:
    """The images as the method may see them: class ids, names and cameras only where it asked."""
    categories = prepared.split.categories
    class_ids = None
    if f"class_ids_{stage}" in method.needs:
        class_ids = np.array([categories.index(image.category) for image in images], dtype=np.int64)
    camera_ids = None
    if f"camera_ids_{stage}" in method.needs:
        camera = getattr(prepared.dataset, "camera", lambda _: 0)
        camera_ids = np.array([camera(image) for image in images], dtype=np.int64)
    class_names = categories if "class_names" in method.needs else None
    return ImageSet(
        images, prepared.dataset, class_ids=class_ids, class_names=class_names, camera_ids=camera_ids
    )


def cell_lock(folder: Place, settings: Settings) -> FileLock:
    """Two runs of the same suite at once do each cell once; behind a URL, those of one machine."""
    locks = settings.local(settings.results) / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(
        locks
        / f"{folder.parent.parent.parent.name}-{folder.parent.parent.name}-{folder.parent.name}-{folder.name}"
    )


def _store_gallery(
    prepared: Prepared, prediction: Prediction, writer: CellWriter, settings: Settings
) -> list[Mapping[str, Any]]:
    if not prepared.dataset.gallery_allowed:
        return []
    chosen = gallery.choose(prepared.split)
    facts = gallery.store_pictures(chosen, prepared.dataset, prepared.cell.view, settings.results)
    if prediction.grids is not None:
        position = {image.key: index for index, image in enumerate(prepared.split.test)}
        writer.write_gallery({image.key: prediction.grids[position[image.key]] for image in chosen})
    return list(facts)
