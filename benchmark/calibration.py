"""A few seconds per backbone: how fast it embeds images on this machine, and how large their features are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
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


def calibrate(
    cells: Sequence[Prepared],
    settings: Settings,
    watch: Callable[[Sequence[str], int], AbstractContextManager[Watcher]],
) -> list[Embedding]:
    """Embed a few images with every backbone of the cells, past the cache, and note what it took.

    In processes like those of a run: as many at a time, with as many threads.
    """
    with TemporaryDirectory(prefix="ltbench-calibration-") as folder:
        # An empty cache: what is measured is the backbone with reading, and the writing of its features.
        apart = replace(settings, cache=place(folder), results=place(folder))
        passes = embed_jobs([_few(job, settings) for job in jobs(cells)], apart, watch)
    measured = [embedding_of(one, settings) for one in passes if one.cache.get("misses")]
    rates.note(settings.home, measured)
    return measured


def embedding_of(one: Embedded, settings: Settings) -> Embedding:
    """A pass over images as a measurement of this machine; its cache counted misses."""
    misses = one.cache["misses"]
    return Embedding(
        backbone=one.backbone,
        weights_digest=one.weights_digest,
        layers=one.layers,
        view=one.view,
        device=settings.device,
        torch=package_versions().get("torch", ""),
        threads=one.threads,
        images=misses,
        seconds=one.seconds,
        record_bytes=one.cache.get("bytes_written", 0) / misses,
        peak_rss_mb=one.peak_rss_mb,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _few(job: EmbeddingJob, settings: Settings) -> EmbeddingJob:
    """As many images per process as show the speed, spread over the data set."""
    paths = list(job.images)
    count = min(len(paths), IMAGES * settings.parallel)
    chosen = [paths[number * len(paths) // count] for number in range(count)]
    return replace(job, images={path: job.images[path] for path in chosen})
