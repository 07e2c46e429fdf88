"""From measurements to what a cell will take: a middle, an interval, and what they are based on."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ltbench.benchmark.rates import CellRun, Embedding, Rates

WIDENS = {1: 0.5, 2: 0.3}
"""By how much an interval of one or two measurements is opened to both sides: they say nothing of spread."""
LEAST = 0.15
"""No interval is narrower to either side: a machine has other work now and then."""
OTHER_FIELDS = 1.0
"""How far an interval is opened (halved and doubled) where only other hyper-parameters were measured."""
SPREAD_OF_SIZES = 1.5
"""From this ratio of sizes on, growth is fitted; below it, it is assumed to lie between two exponents."""


@dataclass(frozen=True)
class Interval:
    """A quantity with its uncertainty."""

    low: float
    middle: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.middle + other.middle, self.high + other.high)

    def times(self, factor: float) -> Interval:
        return Interval(self.low * factor, self.middle * factor, self.high * factor)

    def at_least(self, other: Interval) -> Interval:
        return Interval(max(self.low, other.low), max(self.middle, other.middle), max(self.high, other.high))


NOTHING = Interval(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class CellEstimate:
    """What one cell will take."""

    seconds: Interval
    rss_mb: Interval
    vram_mb: Interval | None
    stored_bytes: Interval | None
    measurements: int
    basis: str
    """What was measured, for people: "3 cells with these fields"."""


def estimate_cell(
    rates: Rates,
    *,
    method: str,
    backbone: str,
    config_digest: str,
    device: str,
    threads: int,
    train_images: int,
    test_images: int,
    evaluate_only: bool = False,
) -> CellEstimate | None:
    """From cells of the same method and backbone on this device; None if none has run here."""
    found = [
        run for run in rates.cells if (run.method, run.backbone, run.device) == (method, backbone, device)
    ]
    same_fields = [run for run in found if run.config_digest == config_digest]
    chosen = same_fields or found
    same_threads = [run for run in chosen if run.threads == threads]
    chosen = same_threads or chosen
    if not chosen:
        return None
    doubt = 0.0 if same_fields else OTHER_FIELDS
    if not same_threads:
        # Between no gain and a full gain by more threads.
        measured = statistics.median(run.threads or 1 for run in chosen)
        doubt = max(doubt, max(threads / measured, measured / threads) - 1)
    seconds = _seconds(chosen, train_images, test_images, evaluate_only=evaluate_only)
    words = f"{len(chosen)} {'cell' if len(chosen) == 1 else 'cells'}"
    words += " with these fields" if same_fields else " with other fields"
    words += "" if same_threads else ", other number of threads"
    folders = [(run.test_images, float(run.stored_bytes)) for run in chosen if run.stored_bytes]
    vram = [run.peak_vram_mb for run in chosen if run.peak_vram_mb is not None]
    images = train_images / max(1, statistics.median(run.train_images for run in chosen))
    return CellEstimate(
        seconds=_opened(seconds, doubt),
        rss_mb=_peak([run.peak_rss_mb or 0.0 for run in chosen], images),
        vram_mb=_peak(vram, images) if vram else None,
        stored_bytes=_scaled(folders, test_images, (0.0, 1.0)),
        measurements=len(chosen),
        basis=words,
    )


def estimate_embedding(
    rates: Rates,
    *,
    backbone: str,
    weights_digest: str,
    layers: Sequence[str],
    view: str,
    device: str,
    torch: str,
) -> tuple[Interval, Interval, int] | None:
    """(processor seconds per image, bytes per image on disk, measurements); None if none was made here."""
    found = [one for one in rates.embeddings if _same_pass(one, backbone, weights_digest, layers, view)]
    found = [one for one in found if one.images and (one.device, one.torch) == (device, torch)]
    if not found:
        return None
    each = [one.seconds / one.images for one in found]
    seconds = _opened(Interval(min(each), statistics.median(each), max(each)), _margin(len(found)))
    stored = [one.record_bytes for one in found if one.record_bytes]
    size = Interval(min(stored), statistics.median(stored), max(stored)) if stored else NOTHING
    return seconds, size, len(found)


def _same_pass(one: Embedding, backbone: str, weights_digest: str, layers: Sequence[str], view: str) -> bool:
    asked = (backbone, weights_digest, tuple(layers), view)
    return (one.backbone, one.weights_digest, tuple(one.layers), one.view) == asked


def _seconds(
    runs: Sequence[CellRun], train_images: int, test_images: int, *, evaluate_only: bool
) -> Interval:
    evaluate = _scaled([(run.test_images, run.evaluate_seconds) for run in runs], test_images, (1.0,))
    # What the process needs beside: its start, imports, writing.
    beside = [
        max(0.0, run.wall_seconds - run.fit_seconds - run.score_seconds - run.evaluate_seconds)
        for run in runs
        if run.wall_seconds is not None
    ]
    total = (evaluate or NOTHING) + (_range(beside) if beside else NOTHING)
    if not evaluate_only:
        # A coreset's selection grows with the square of the images where its size is a share of them.
        fit = _scaled([(run.train_images, run.fit_seconds) for run in runs], train_images, (1.0, 2.0))
        score = _scaled([(run.test_images, run.score_seconds) for run in runs], test_images, (1.0,))
        total = total + (fit or NOTHING) + (score or NOTHING)
    return _opened(total, _margin(len(runs)))


def _scaled(pairs: Sequence[tuple[int, float]], size: int, exponents: tuple[float, ...]) -> Interval | None:
    """Measurements (size, amount) brought to another size by a power law.

    Where the measured sizes differ enough the exponent is fitted (least squares of the logarithms, 0 to 3);
    otherwise the middle takes the first of `exponents` and the interval spans all of them.
    """
    known = [(max(1, images), amount) for images, amount in pairs]
    if not known:
        return None
    sizes = np.array([images for images, _ in known], dtype=float)
    amounts = np.array([max(amount, 1e-9) for _, amount in known])
    if sizes.max() / sizes.min() >= SPREAD_OF_SIZES and len(known) > 2:
        slope = float(np.clip(np.polyfit(np.log(sizes), np.log(amounts), 1)[0], 0.0, 3.0))
        exponents = (slope,)
    brought = [amounts * (max(1, size) / sizes) ** exponent for exponent in exponents]
    low = min(float(values.min()) for values in brought)
    high = max(float(values.max()) for values in brought)
    return Interval(low, float(np.median(brought[0])), high)


def _range(values: Sequence[float]) -> Interval:
    return Interval(min(values), statistics.median(values), max(values))


def _peak(values: Sequence[float], growth: float) -> Interval:
    """A peak grows at most with the images, and does not shrink below a process without them."""
    return Interval(max(values), max(values), max(values) * max(1.0, growth))


def _margin(measurements: int) -> float:
    return WIDENS.get(measurements, LEAST)


def _opened(interval: Interval, share: float) -> Interval:
    """At least `share` to both sides of the middle."""
    return Interval(
        min(interval.low, interval.middle / (1 + share)),
        interval.middle,
        max(interval.high, interval.middle * (1 + share)),
    )
