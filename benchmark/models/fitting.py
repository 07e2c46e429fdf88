"""Fit the method of a cell on all of its training images, and once per fold for the thresholds."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ltbench.benchmark.calls import progress_bars
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.device import require_device, settle
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.feature_cache import open_cache
from ltbench.benchmark.measure import context_of
from ltbench.benchmark.models.facts import ModelFacts, TrainedOn
from ltbench.benchmark.models.folder import require_free
from ltbench.benchmark.models.held_out import score_held_out, thresholds_of
from ltbench.benchmark.models.model import Model
from ltbench.benchmark.resolve import Prepared, Resolver
from ltbench.benchmark.settings import Settings
from ltbench.benchmark.stopwatch import Stopwatch
from ltbench.benchmark.visible_images import visible_images
from ltbench.methods import catalog
from ltbench.methods.base import Method, Progress, Title, no_progress
from ltbench.methods.state.fitted import state_of
from ltbench.results.environment import environment
from ltbench.splits.datasets.decoding import AS_STORED

FOLDS = 5


def fit_cell(
    cell: Cell,
    settings: Settings,
    *,
    folds: int = FOLDS,
    out: Path | None = None,
    methods: Mapping[str, Method] | None = None,
) -> Model:
    """Fit a method that is to judge new images, with a bar on a terminal.

    The generator is that of the cell: its scores are those of `ltbench run` with the same split and seed.

    Args:
        cell: Method, data set and split.
        settings: Places and device.
        folds: Further fits whose held-out images give the thresholds; 0 = none.
        out: New folder for the model; None = it is kept in memory.
        methods: Objects by name, for a method that the catalogue lacks.

    Raises:
        UsageError: One fold, or the folder cannot be made.
        NotStorable: The method has learned something that no file can keep.
        Exception: Whatever the method raises.
    """
    if folds == 1 or folds < 0:
        raise UsageError(f"folds is '{folds}': expected 0 (no thresholds), or 2 or more")
    if out is not None:
        require_free(out)
    require_device(settings.device)
    settle(settings.device)
    prepared = Resolver(settings, methods).prepare(cell)
    with progress_bars([cell.title]) as bars:
        for progress in bars:
            model = _fitted(prepared, settings, folds, progress, is_kept=out is not None)
    if out is not None:
        model.save(out)
    return model


def _fitted(
    prepared: Prepared, settings: Settings, folds: int, progress: Progress, *, is_kept: bool
) -> Model:
    watch = Stopwatch(settings.device, torch.get_num_threads())
    figures: dict[str, float] = {}
    shown: Progress = progress

    def until_fitted(items: Iterable[Any], title: Title, total: int | None = None) -> Iterator[Any]:
        yield from shown(items, title, total)

    # The method keeps the context, and the bar is gone when it scores new images.
    context = context_of(prepared, settings, open_cache(settings), until_fitted, report=figures.__setitem__)
    method = copy.deepcopy(prepared.method)
    with watch.time("fit"):
        method.fit(visible_images("fit", prepared.split.train, prepared), context)
    if is_kept:
        # Raises before the other fits take their time.
        state_of(method)
    with watch.time("hold_out"):
        held_out = score_held_out(prepared, context, folds)
    facts = dataclasses.replace(
        _facts(prepared, settings, folds, figures),
        held_out=len(held_out.scores),
        thresholds=thresholds_of(held_out.scores),
        map_range=held_out.map_range,
        timing=watch.facts(0),
    )
    shown = no_progress
    model = Model(method, facts, context)
    model.facts = dataclasses.replace(facts, self_test=model.self_test())
    return model


def _facts(prepared: Prepared, settings: Settings, folds: int, figures: dict[str, float]) -> ModelFacts:
    split, method, dataset = prepared.split, prepared.facts, prepared.dataset
    counts = Counter(image.category for image in split.train)
    name = prepared.cell.method
    if catalog.is_file(name):
        # Wherever the model is loaded from.
        file, _, kind = name.rpartition(":")
        name = f"{Path(file).expanduser().resolve()}:{kind}"
    return ModelFacts(
        method=name,
        method_version=method.version,
        source_digest=method.source_digest,
        fields={field: value for field, value in method.fields.items() if field != "limit"},
        card=method.card,
        needs=method.needs,
        view=dataclasses.asdict(prepared.cell.view),
        reading=dataclasses.asdict(getattr(dataset, "reading", AS_STORED)),
        device=torch.device(settings.device).type,
        weights_digest=method.weights_digest,
        trained_on=TrainedOn(
            dataset.name, dataset.data_digest(), split.recipe, split.seed, split.digest,
            {category: counts[category] for category in split.categories},
        ),
        folds=folds,
        held_out=0,
        thresholds=(),
        map_range=None,
        self_test=(),
        figures={name: value for name, value in figures.items() if math.isfinite(value)},
        timing={},
        environment=environment(),
    )  # fmt: skip
