"""Fit the method of a cell, score the test images and evaluate the scores, by the clock."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.benchmark.evaluate import CategoryValues, check_prediction, evaluate
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.settings import Settings
from ltbench.benchmark.stopwatch import Stopwatch
from ltbench.benchmark.view_loss import view_losses
from ltbench.benchmark.visible_images import visible_images
from ltbench.methods.base import Context, Method, Prediction, Progress

if TYPE_CHECKING:
    from ltbench.methods.features.cache import FeatureCache


@dataclass(frozen=True)
class Measurement:
    """A fitted method, its prediction and the values of all metrics."""

    method: Method
    context: Context
    prediction: Prediction
    values: Sequence[CategoryValues]
    facts: Mapping[str, Any]
    """Facts for the record: losses by the view, numbers reported by the method, times, rule for maps."""


def measure(
    prepared: Prepared, settings: Settings, cache: FeatureCache | None, progress: Progress
) -> Measurement:
    """Measure one cell.

    Raises BrokenPrediction for an answer of the wrong shape, and whatever the method raises.
    """
    cell, split = prepared.cell, prepared.split
    watch = Stopwatch(settings.device, _threads())
    figures: dict[str, float] = {}
    work = settings.local(prepared.folder) / "work"
    context = context_of(prepared, settings, cache, progress, work=work, report=figures.__setitem__)
    method = copy.deepcopy(prepared.method)
    with watch.time("fit"):
        method.fit(visible_images("fit", split.train, prepared), context)
    with watch.time("score"):
        prediction = method.score(visible_images("score", split.test, prepared), context)
    check_prediction(prediction, len(split.test))
    with watch.time("evaluate"):
        judged = evaluate(
            prediction,
            split,
            prepared.dataset,
            cell.view,
            names=cell.metric_names,
            kept_regions=settings.home / "regions",
        )
        values = list(progress(judged, "evaluate", len(split.categories)))
    kept = settings.home / "regions"
    facts = {
        "view_loss": [asdict(loss) for loss in view_losses(split.test, prepared.dataset, cell.view, kept)],
        "figures": figures,
        "timing": watch.facts(len(split.test)),
        "map_post": asdict(prediction.post),
    }
    return Measurement(method, context, prediction, values, facts)


def context_of(
    prepared: Prepared,
    settings: Settings,
    cache: FeatureCache | None,
    progress: Progress,
    *,
    work: Path | None = None,
    report: Callable[[str, float], None] = lambda _name, _value: None,
) -> Context:
    """Inputs of a cell's method besides images: random generator, view, device, cache and folders."""
    cell = prepared.cell
    return Context(
        rng=cell.generator(prepared.dataset.name),
        view=cell.view,
        device=settings.device,
        cache=cache,
        weights_root=settings.weights_root,
        auxiliary=prepared.auxiliary.for_method() if prepared.auxiliary else None,
        work=work,
        progress=progress,
        report=report,
    )


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())
