"""A few seconds per backbone: how fast it embeds images on this machine, and how large their features are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from tempfile import TemporaryDirectory

from ltbench.benchmark import rates
from ltbench.benchmark.embed import Embedded, EmbeddingJob, embed_jobs, jobs
from ltbench.benchmark.engines import Watcher
from ltbench.benchmark.rates import Embedding
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.settings import Settings
from ltbench.results.environment import package_versions
from ltbench.results.places import place

IMAGES = 24
"""Images per process."""
LEAST_IMAGES = 8
"""A pass over fewer images measures the start more than the backbone."""


def calibrate(
    cells: Sequence[Prepared],
    settings: Settings,
    watch: Callable[[Sequence[str], int], AbstractContextManager[Watcher]],
) -> None:
    """Embed a few images with every backbone of the cells, past the cache, and note what it took.

    In processes like those of a run: as many at a time, with as many threads.
    """
    with TemporaryDirectory(prefix="ltbench-calibration-") as folder:
        apart = replace(settings, cache=place(folder), results=place(folder))
        passes = embed_jobs([_few(job, settings) for job in jobs(cells)], apart, watch)
    rates.note(settings.home, measured(passes, settings))


def measured(passes: Sequence[Embedded], settings: Settings) -> list[Embedding]:
    """Passes that computed features, as measurements; one that found them in the cache measures nothing."""
    cold = [(one, one.cache.get("misses", 0)) for one in passes]
    return [
        Embedding(
            backbone=one.backbone,
            weights_digest=one.weights_digest,
            layers=one.layers,
            view=one.view,
            device=settings.device,
            torch=package_versions().get("torch", ""),
            images=misses,
            seconds=one.seconds,
            record_bytes=one.cache.get("bytes_written", 0) / misses,
        )
        for one, misses in cold
        if misses >= LEAST_IMAGES
    ]


def _few(job: EmbeddingJob, settings: Settings) -> EmbeddingJob:
    """Sample of images for timing, `IMAGES` per process, spread over the data set."""
    paths = list(job.images)
    count = min(len(paths), IMAGES * settings.parallel)
    chosen = [paths[number * len(paths) // count] for number in range(count)]
    return replace(job, images={path: job.images[path] for path in chosen})
