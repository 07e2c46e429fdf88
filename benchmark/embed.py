"""Features once: the images of a whole run, embedded by each backbone before the first cell starts."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ltbench.benchmark.engines import Watcher
from ltbench.benchmark.processes import Child, Processes
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import Context, View
from ltbench.results.runs import sum_of
from ltbench.splits.datasets import open_dataset
from ltbench.splits.images import ImageSet, LabelledImage

LOOK_EVERY_SECONDS = 0.05


@dataclass
class EmbeddingJob:
    """Distinct images that one backbone has to see."""

    dataset: str
    backbone: str
    layers: tuple[str, ...] | None
    view: View
    images: dict[str, LabelledImage] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"embed {len(self.images)} images of {self.dataset} with {self.backbone}"

    def serves(self, cell: Prepared) -> bool:
        """Whether the cell reads this job's features of its data set."""
        method = cell.method
        asked = (cell.cell.dataset, getattr(method, "backbone", ""), _layers(method), cell.cell.view)
        return asked == (self.dataset, self.backbone, self.layers, self.view)


def jobs(cells: Sequence[Prepared]) -> list[EmbeddingJob]:
    """One job per data set, backbone, layers and view, over the union of the cells' images."""
    found: dict[tuple[Any, ...], EmbeddingJob] = {}
    for entry in cells:
        method = entry.method
        backbone = getattr(method, "backbone", "")
        if not backbone:
            continue
        layers = _layers(method)
        sets = {entry.cell.dataset: (*entry.split.train, *entry.split.test)}
        if entry.auxiliary is not None:
            sets[entry.auxiliary.name] = entry.auxiliary.images
        for dataset, images in sets.items():
            asked = (dataset, backbone, layers, entry.cell.view)
            job = found.setdefault(asked, EmbeddingJob(*asked))
            job.images |= {image.path: image for image in images}
    return list(found.values())


def _layers(method: Any) -> tuple[str, ...] | None:
    return getattr(method, "layers", None) or None


@dataclass(frozen=True)
class Embedded:
    """Cost of one backbone's pass over the images: time, threads, memory, cache use."""

    dataset: str
    backbone: str
    weights_digest: str
    layers: tuple[str, ...]
    view: str
    images: int
    seconds: float
    """Seconds added up over the processes that shared the work."""
    threads: int
    """Threads of each process."""
    peak_rss_mb: float
    """Peak memory of the largest process, in MB."""
    cache: Mapping[str, int]
    """Counts of `CacheStats`: what was there already is a hit."""


def embed(
    cells: Sequence[Prepared],
    settings: Settings,
    watch: Callable[[Sequence[str], int], AbstractContextManager[Watcher]],
) -> list[Embedded]:
    """Fill the feature cache, one shard of the images per process.

    A shard that fails costs time only: the cells that need its images embed them again and report the error.
    """
    return embed_jobs(jobs(cells), settings, watch)


def embed_jobs(
    asked: Sequence[EmbeddingJob],
    settings: Settings,
    watch: Callable[[Sequence[str], int], AbstractContextManager[Watcher]],
) -> list[Embedded]:
    """One pass after the other, each shared by `settings.parallel` processes."""
    if not asked:
        return []
    parallel = settings.parallel
    threads = settings.threads_of(parallel)
    processes = Processes(threads_per_child=threads)
    done: list[Embedded] = []
    log = settings.local(settings.results) / ".locks" / "embed.log"
    for job in asked:
        shards = [list(job.images.values())[start::parallel] for start in range(parallel)]
        shards = [shard for shard in shards if shard]
        with watch([f"{job.title} ({n + 1}/{len(shards)})" for n in range(len(shards))], 0) as watcher:
            children: list[Child] = []
            try:
                for index, shard in enumerate(shards):
                    watcher.started(index)
                    children.append(processes.start(embed_shard, (job, shard, settings), log))
                _await(children, watcher)
            finally:
                for child in children:
                    child.kill()
        done.append(_embedded(job, [child.noted for child in children if child.noted], threads))
    return done


def _embedded(job: EmbeddingJob, notes: Sequence[Mapping[str, Any]], threads: int) -> Embedded:
    return Embedded(
        dataset=job.dataset,
        backbone=job.backbone,
        weights_digest=next((note["weights_digest"] for note in notes), ""),
        layers=tuple(job.layers or ()),
        view=str(job.view),
        images=len(job.images),
        seconds=round(sum(note["seconds"] for note in notes), 3),
        threads=threads,
        peak_rss_mb=max((note["peak_rss_mb"] for note in notes), default=0.0),
        cache=sum_of([note["cache"] for note in notes]),
    )


def embed_shard(
    job: EmbeddingJob, images: Sequence[LabelledImage], settings: Settings, progress: Any
) -> None:
    """Runs in its own process: read every feature once, so that all of them are in the cache."""
    from ltbench.benchmark.device import settle
    from ltbench.benchmark.feature_cache import open_cache
    from ltbench.methods.features.extract import Extractor

    settle(settings.device)
    context = Context(
        rng=np.random.default_rng(0),  # embedding draws nothing
        view=job.view,
        device=settings.device,
        cache=open_cache(settings),
        weights_root=settings.weights_root,
        progress=progress,
    )
    source = open_dataset(job.dataset, settings.data_root)
    extractor = Extractor(job.backbone, context, job.layers)
    start = time.perf_counter()
    for _ in extractor.batches(ImageSet(images, source), title="embed"):
        pass
    progress.note(
        {
            "seconds": time.perf_counter() - start,
            "weights_digest": extractor.spec.backbone_digest,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "cache": asdict(context.cache.stats()) if context.cache else {},
        }
    )


def _await(children: Sequence[Child], watcher: Watcher) -> None:
    alive = dict(enumerate(children))
    while alive:
        for index, child in list(alive.items()):
            if child.poll():
                step = child.advanced
                if step is not None:
                    watcher.progressed(index, step.stage, step.done, step.total)
            else:
                del alive[index]
                ended = child.result()
                watcher.finished(index, ended.status, ended.error)
        time.sleep(LOOK_EVERY_SECONDS)
