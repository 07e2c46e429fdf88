"""What a plan will take on this machine: time, memory and disk, where anything like it was measured here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ltbench.benchmark.embed import EmbeddingJob, jobs
from ltbench.benchmark.estimate import NOTHING, CellEstimate, Interval, estimate_cell, estimate_embedding
from ltbench.benchmark.rates import Rates
from ltbench.benchmark.run import PlannedCell
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import Context
from ltbench.results.environment import package_versions
from ltbench.results.places import Place, matches
from ltbench.splits.datasets import open_dataset
from ltbench.splits.images import ImageSet


@dataclass(frozen=True)
class EmbeddingPlan:
    """One backbone's pass over the images that are not in the cache yet."""

    job: EmbeddingJob
    missing: frozenset[str]
    """Paths of the images to embed."""
    seconds: Interval | None
    """Of one process; None = unknown."""
    bytes: Interval | None
    """That the cache will grow by."""
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
    """What is to be done and what it will take."""

    cells: Mapping[int, CellEstimate | None]
    """By position of the planned cell; only of cells that will run."""
    cached: frozenset[int]
    """Positions of cells to run whose features are all in the cache."""
    embeddings: Sequence[EmbeddingPlan]
    wall: Interval
    """Seconds of everything that could be estimated, with `jobs` cells at a time."""
    jobs: int
    rss_mb: Interval | None
    """Of all cells that run at a time."""
    vram_mb: Interval | None
    stored_bytes: Interval
    cache_bytes: Interval
    unknown: Mapping[str, int]
    """Cells without any measurement, by "method on backbone"."""
    unknown_backbones: Sequence[str] = field(default_factory=tuple)

    def facts(self) -> dict[str, object]:
        """JSON values; null where nothing is known."""
        return {
            "jobs": self.jobs,
            "wall_seconds": _facts(self.wall),
            "peak_rss_mb": _facts(self.rss_mb),
            "peak_vram_mb": _facts(self.vram_mb),
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
    threads = settings.threads_of(count)
    cells = {
        position: _estimate(planned[position], rates, settings.device, threads, evaluate_only=light)
        for position, light in will_run.items()
    }
    full = [planned[position] for position, light in will_run.items() if not light]
    passes = [_embedding(job, settings, rates) for job in jobs([entry.prepared for entry in full])]
    known = [one for one in cells.values() if one is not None]
    work = sum((one.seconds for one in known), NOTHING)
    embedding = sum((one.seconds for one in passes if one.seconds is not None), NOTHING)
    longest = Interval(*(max((getattr(one.seconds, side) for one in known), default=0.0) for side in SIDES))
    unknown = Counter(_kind(planned[position]) for position, estimate in cells.items() if estimate is None)
    vram = [one.vram_mb for one in known if one.vram_mb is not None]
    return Forecast(
        cells=cells,
        cached=frozenset(_cached(planned, will_run, passes)),
        embeddings=passes,
        wall=work.times(1 / count).at_least(longest) + embedding.times(1 / settings.parallel),
        jobs=count,
        rss_mb=_at_once([one.rss_mb for one in known], count) if known else None,
        vram_mb=_at_once(vram, count) if vram else None,
        stored_bytes=sum((one.stored_bytes for one in known if one.stored_bytes), NOTHING),
        cache_bytes=sum((one.bytes for one in passes if one.bytes), NOTHING),
        unknown=dict(sorted(unknown.items())),
        unknown_backbones=sorted({one.job.backbone for one in passes if one.missing and one.seconds is None}),
    )


SIDES = ("low", "middle", "high")


def missing_images(job: EmbeddingJob, settings: Settings) -> tuple[frozenset[str], str]:
    """Paths of a job's images whose features are not in the cache, and the digest of the backbone."""
    from ltbench.methods.features.extract import Extractor, engine

    # On the processor, whatever will compute: only its name is asked for.
    context = Context(
        rng=np.random.default_rng(0),  # nothing is drawn
        view=job.view,
        weights_root=settings.weights_root,
    )
    spec = replace(Extractor(job.backbone, context, job.layers).spec, engine=engine(settings.device))
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
    found = estimate_embedding(
        rates,
        backbone=job.backbone,
        weights_digest=digest,
        layers=job.layers or (),
        view=str(job.view),
        device=settings.device,
        torch=package_versions().get("torch", ""),
    )
    if found is None:
        return EmbeddingPlan(job, missing, None if missing else NOTHING, None if missing else NOTHING, 0)
    each, size, measurements = found
    count = len(missing)
    return EmbeddingPlan(job, missing, each.times(count), size.times(count), measurements)


def _estimate(
    entry: PlannedCell, rates: Rates, device: str, threads: int, *, evaluate_only: bool
) -> CellEstimate | None:
    facts, split = entry.prepared.facts, entry.prepared.split
    return estimate_cell(
        rates,
        method=facts.name,
        backbone=facts.backbone,
        config_digest=facts.config_digest,
        device=device,
        threads=threads,
        train_images=len(split.train),
        test_images=len(split.test),
        evaluate_only=evaluate_only,
    )


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


def _at_once(peaks: Sequence[Interval], count: int) -> Interval:
    """The largest ones together: as many as run at a time."""
    largest = sorted(peaks, key=lambda one: one.high)[-count:]
    return sum(largest, NOTHING)


def _facts(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {side: round(getattr(interval, side), 3) for side in SIDES}
