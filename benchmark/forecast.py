"""Forecast of a plan's time and memory: medians measured on this machine, each with an interval."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ltbench.benchmark.embed import EmbeddingJob, jobs
from ltbench.benchmark.rates import Rates
from ltbench.benchmark.run import PlannedCell
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import Context
from ltbench.results.environment import package_versions
from ltbench.results.places import Place, matches
from ltbench.splits.datasets import open_dataset
from ltbench.splits.images import ImageSet

LEAST_SPREAD = (1.5, 1.3, 1.15)
"""Factor to both sides of a median that an interval of one, two, and three or more measurements covers."""
OTHER_FIELDS = 2.0
"""The same where only cells with other hyper-parameters were measured."""


@dataclass(frozen=True)
class Interval:
    """A quantity with its uncertainty."""

    low: float = 0.0
    middle: float = 0.0
    high: float = 0.0

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.middle + other.middle, self.high + other.high)

    def times(self, factor: float) -> Interval:
        return Interval(self.low * factor, self.middle * factor, self.high * factor)


NOTHING = Interval()


def interval(values: Sequence[float], doubt: float = 1.0) -> Interval:
    """Median and range of measurements, widened to at least a factor `doubt` on both sides of the median."""
    middle = statistics.median(values)
    factor = max(doubt, LEAST_SPREAD[min(len(values), len(LEAST_SPREAD)) - 1])
    return Interval(min(*values, middle / factor), middle, max(*values, middle * factor))


@dataclass(frozen=True)
class CellEstimate:
    """Cost of one cell."""

    seconds: Interval
    rss_mb: Interval
    vram_mb: Interval
    stored_bytes: Interval
    basis: str
    """Measurements behind the estimate, as shown to users: "3 cells with these fields"."""


@dataclass(frozen=True)
class EmbeddingPlan:
    """One backbone's pass over the images that are not in the cache yet."""

    job: EmbeddingJob
    missing: frozenset[str]
    """Paths of the images to embed."""
    seconds: Interval | None
    """Seconds of one process; None = unknown."""
    bytes: Interval | None
    """Growth of the cache in bytes; None = unknown."""
    measurements: int

    def facts(self) -> dict[str, object]:
        return {
            "dataset": self.job.dataset,
            "backbone": self.job.backbone,
            "layers": list(self.job.layers or ()),
            "view": str(self.job.view),
            "images": len(self.job.images),
            "to_embed": len(self.missing),
            "seconds": _facts(self.seconds),
            "cache_bytes": _facts(self.bytes),
            "measurements": self.measurements,
        }


@dataclass(frozen=True)
class Forecast:
    """Estimated time, memory and disk space of a plan, in total and per cell."""

    cells: Mapping[int, CellEstimate | None]
    """Estimates of the cells that will run, by position in the plan."""
    cached: frozenset[int]
    """Positions of cells to run whose features are all in the cache."""
    embeddings: Sequence[EmbeddingPlan]
    wall: Interval
    """Seconds of everything that could be estimated, with `jobs` cells at a time."""
    jobs: int
    rss_mb: Interval
    """Memory in MB of all cells that run at a time."""
    vram_mb: Interval
    stored_bytes: Interval
    cache_bytes: Interval
    unknown: Mapping[str, int]
    """Cells without any measurement, by "method on backbone"."""
    unknown_backbones: Sequence[str]

    def facts(self) -> dict[str, object]:
        """JSON values; null where nothing is known."""
        known = len(self.cells) > sum(self.unknown.values())
        return {
            "jobs": self.jobs,
            "wall_seconds": _facts(self.wall),
            "peak_rss_mb": _facts(self.rss_mb if known else None),
            "peak_vram_mb": _facts(self.vram_mb if self.vram_mb.high else None),
            "results_bytes": _facts(self.stored_bytes),
            "cache_bytes": _facts(self.cache_bytes),
            "unknown_cells": dict(self.unknown),
            "unknown_backbones": list(self.unknown_backbones),
            "embeddings": [one.facts() for one in self.embeddings],
        }


def forecast(
    planned: Sequence[PlannedCell], will_run: Mapping[int, bool], settings: Settings, rates: Rates
) -> Forecast:
    """Estimate the cells at the positions in `will_run`; its value says that only metrics are computed."""
    count = max(1, min(settings.parallel, len(will_run)))
    cells = {
        position: estimate_cell(planned[position], settings, rates, count, evaluate_only=light)
        for position, light in will_run.items()
    }
    full = [planned[position] for position, light in will_run.items() if not light]
    passes = [_embedding(job, settings, rates) for job in jobs([entry.prepared for entry in full])]
    known = [one for one in cells.values() if one is not None]
    work = sum((one.seconds for one in known), NOTHING).times(1 / count)
    longest = max((one.seconds for one in known), key=lambda one: one.middle, default=NOTHING)
    embedding = sum((one.seconds for one in passes if one.seconds), NOTHING)
    unknown = Counter(_kind(planned[position]) for position, estimate in cells.items() if estimate is None)
    return Forecast(
        cells=cells,
        cached=frozenset(_cached(planned, will_run, passes)),
        embeddings=passes,
        wall=max(work, longest, key=lambda one: one.middle) + embedding.times(1 / settings.parallel),
        jobs=count,
        rss_mb=_at_once([one.rss_mb for one in known], count),
        vram_mb=_at_once([one.vram_mb for one in known], count),
        stored_bytes=sum((one.stored_bytes for one in known), NOTHING),
        cache_bytes=sum((one.bytes for one in passes if one.bytes), NOTHING),
        unknown=dict(sorted(unknown.items())),
        unknown_backbones=sorted({one.job.backbone for one in passes if one.missing and one.seconds is None}),
    )


def estimate_cell(
    entry: PlannedCell, settings: Settings, rates: Rates, jobs: int, *, evaluate_only: bool = False
) -> CellEstimate | None:
    """Estimate a cell from those of the same method and backbone on this device; None if none has run here.

    Measurements are scaled in proportion to the number of images. The interval also covers fits that grow
    with its square, and any speed-up by threads between none and their number.
    """
    facts, split, threads = entry.prepared.facts, entry.prepared.split, settings.threads_of(jobs)
    asked = (facts.name, facts.backbone, settings.device)
    alike = [run for run in rates.cells if (run.method, run.backbone, run.device) == asked]
    same_fields = [run for run in alike if run.config_digest == facts.config_digest]
    runs = [run for run in same_fields or alike if run.threads == threads] or same_fields or alike
    if not runs:
        return None
    growth = len(split.train) / max(1, statistics.median(run.train_images for run in runs))
    speed_up = threads / max(1, statistics.median(run.threads for run in runs))
    doubts = [speed_up, 1 / speed_up, 1.0 if same_fields else OTHER_FIELDS]
    seconds = []
    for run in runs:
        tested = len(split.test) / max(1, run.test_images)
        fit = run.fit_seconds * len(split.train) / max(1, run.train_images)
        start = max(0.0, run.wall_seconds - run.fit_seconds - run.score_seconds - run.evaluate_seconds)
        judged = start + run.evaluate_seconds * tested
        seconds.append(judged if evaluate_only else judged + fit + run.score_seconds * tested)
    if not evaluate_only:
        doubts += [growth, 1 / max(growth, 1e-9)]
    stored = [run.stored_bytes * len(split.test) / max(1, run.test_images) for run in runs]
    words = f"{len(runs)} {'cell' if len(runs) == 1 else 'cells'}"
    words += f" with {'these' if same_fields else 'other'} fields"
    return CellEstimate(
        seconds=interval(seconds, max(doubts)),
        rss_mb=_peak([run.peak_rss_mb or 0.0 for run in runs], growth),
        vram_mb=_peak([run.peak_vram_mb or 0.0 for run in runs], growth),
        stored_bytes=interval(stored),
        basis=words if speed_up == 1 else f"{words}, other number of threads",
    )


def missing_images(job: EmbeddingJob, settings: Settings) -> tuple[frozenset[str], str]:
    """Paths of a job's images whose features are not in the cache, and the digest of the backbone."""
    from ltbench.methods.features.backbone import identity
    from ltbench.methods.features.extract import spec_of

    context = Context(
        rng=np.random.default_rng(0),  # nothing is drawn
        view=job.view,
        device=settings.device,
    )
    spec = spec_of(job.backbone, identity(job.backbone, settings.weights_root, job.layers), context)
    stored = stored_keys(settings.cache_root, spec.name)
    if not stored:
        # Without reading the images, whose content is their key.
        return frozenset(job.images), spec.backbone_digest
    images = ImageSet(list(job.images.values()), open_dataset(job.dataset, settings.data_root))
    missing = [path for index, path in enumerate(job.images) if images.content_digest(index) not in stored]
    return frozenset(missing), spec.backbone_digest


def stored_keys(root: Place, spec: str) -> frozenset[str]:
    """Keys of the records of one kind of features."""
    if isinstance(root, Path) and not (root / spec).is_dir():
        return frozenset()
    return frozenset(path.name.removesuffix(".npy") for path in matches(root / spec, "*/*.npy"))


def _embedding(job: EmbeddingJob, settings: Settings, rates: Rates) -> EmbeddingPlan:
    missing, digest = missing_images(job, settings)
    asked = (job.backbone, digest, list(job.layers or ()), str(job.view), settings.device)
    torch = package_versions().get("torch", "")
    runs = [
        run
        for run in rates.embeddings
        if (run.backbone, run.weights_digest, list(run.layers), run.view, run.device) == asked
        and run.torch == torch
    ]
    if not runs:
        nothing = None if missing else NOTHING
        return EmbeddingPlan(job, missing, nothing, nothing, 0)
    seconds = interval([run.seconds / run.images for run in runs])
    size = interval([run.record_bytes for run in runs])
    return EmbeddingPlan(job, missing, seconds.times(len(missing)), size.times(len(missing)), len(runs))


def _cached(
    planned: Sequence[PlannedCell], will_run: Mapping[int, bool], passes: Sequence[EmbeddingPlan]
) -> list[int]:
    """Cells to run that use features, none of which is missing."""
    found = []
    for position, light in will_run.items():
        prepared = planned[position].prepared
        own = [one for one in passes if one.job.serves(prepared)]
        images = {image.path for image in (*prepared.split.train, *prepared.split.test)}
        if not light and own and not any(images & one.missing for one in own):
            found.append(position)
    return found


def _kind(entry: PlannedCell) -> str:
    facts = entry.prepared.facts
    return f"{facts.name} on {facts.backbone}" if facts.backbone else facts.name


def _peak(values: Sequence[float], growth: float) -> Interval:
    """A peak grows at most with the images, and does not shrink below a process without them."""
    return Interval(max(values), max(values), max(values) * max(1.0, growth))


def _at_once(peaks: Sequence[Interval], count: int) -> Interval:
    """The largest ones together: as many as run at a time."""
    return sum(sorted(peaks, key=lambda one: one.high)[-count:], NOTHING)


def _facts(amount: Interval | None) -> dict[str, float] | None:
    return None if amount is None else {side: round(value, 3) for side, value in asdict(amount).items()}
