"""The exact pixel curve of maps that do not fit into memory: same bits, two walks, a declared ceiling.

The first walk gathers the anomalous pixels, the second sorts each chunk and adds its counts. Where even the
anomalous pixels are too many they go to disk, and the score range is worked off in blocks, a walk each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.base import Floats, MapStream, Scratch, Undefined, not_finite
from ltbench.benchmark.metrics.blocks.curve import Counts, Curve, CurveInMemory, require_both
from ltbench.benchmark.metrics.blocks.positives import Positives
from ltbench.benchmark.metrics.blocks.regions import label_regions
from ltbench.benchmark.metrics.blocks.spill import PositivesOnDisk, SpilledCurve

Source = npt.NDArray[Any] | MapStream

# Measured peaks, rounded up: what the passes take per pixel of a chunk and per anomalous pixel held.
BYTES_PER_CHUNK_PIXEL = 24
BYTES_PER_POSITIVE = 128
BYTES_PER_SORTED_PIXEL = 8


@dataclass(frozen=True)
class Ceiling:
    """How much is held at once, so that a pass stays below `memory_bytes` (besides what the streams hold)."""

    memory_bytes: int

    @property
    def chunk_pixels(self) -> int:
        """Pixels of a chunk; more than some millions do not make the sort any better."""
        return min(self.memory_bytes // 4 // BYTES_PER_CHUNK_PIXEL, 1 << 22)

    @property
    def positives(self) -> int:
        """Anomalous pixels in memory."""
        return max(self.memory_bytes // 2 // BYTES_PER_POSITIVE, 1)

    @property
    def sorted_pixels(self) -> int:
        """Pixels that are sorted at a time: the more, the fewer times all thresholds are searched for."""
        return self.memory_bytes // 8 // BYTES_PER_SORTED_PIXEL


def curve_of_stream(
    maps: Source,
    masks: Source,
    *,
    check: Callable[[npt.NDArray[np.int64]], None] | None = None,
    memory_bytes: int = 1 << 30,
) -> Curve:
    """Curve over all pixels of `maps` and `masks` (N, H, W), arrays or streams that can be walked repeatedly.

    `check` is given the number of anomalous pixels per image (N,). Raises Undefined as `pixel_curve` does.
    """
    ceiling = Ceiling(memory_bytes)
    images, height, width = maps.shape
    planes = max(ceiling.chunk_pixels // (height * width), 1)
    held = PositivesOnDisk(ceiling.positives)
    try:
        pixels_of_image = []
        start = 0
        for chunk, mask in zip(regroup(maps, planes), regroup(masks, planes), strict=True):
            regions = label_regions(np.asarray(mask, bool))
            if not np.isfinite(chunk).all():
                raise Undefined(not_finite("maps", chunk, start))
            held.add(chunk.reshape(-1)[regions.index], regions.weight, len(regions.size))
            pixels_of_image.append(regions.pixels_of_image)
            start += len(chunk)
        if check is not None and pixels_of_image:
            check(np.concatenate(pixels_of_image))
        pixels = images * height * width
        if not held.spilled:
            positives = held.all()
            counts = count_pixels(maps, planes, positives, room=ceiling.sorted_pixels)
            piece = positives.piece(*counts, held.regions)
            curve: Curve = CurveInMemory(piece, held.count, pixels - held.count)
            require_both(curve, "anomalous pixel", "normal pixel")
            return curve
        spilled = SpilledCurve(held.count, pixels - held.count)
        require_both(spilled, "anomalous pixel", "normal pixel")
        for positives, low, high in held.blocks():
            counts = count_pixels(maps, planes, positives, room=ceiling.sorted_pixels, low=low, high=high)
            spilled.append(positives.piece(*counts, held.regions))
        return spilled
    finally:
        held.close()


def count_pixels(
    maps: Source,
    planes: int,
    positives: Positives,
    *,
    room: int,
    low: float = -np.inf,
    high: float = np.inf,
) -> tuple[Counts, Counts]:
    """How many pixels of all maps are ≥ and > each of the thresholds, which lie in [low, high).

    Up to `room` pixels, at least a chunk's and not many more than there are thresholds, are sorted at a time.
    """
    at_least = np.zeros(len(positives.threshold), np.int64)
    above = np.zeros_like(at_least)
    room = max(planes * maps.shape[1] * maps.shape[2], min(room, 4 * len(at_least)))
    scratch = Scratch()
    filled = beyond = 0
    for chunk in regroup(maps, planes):
        pixels = chunk.reshape(-1)
        if low > -np.inf or high < np.inf:
            beyond += int(np.count_nonzero(pixels >= high))
            pixels = pixels[(pixels >= low) & (pixels < high)]
        held = scratch.take(room, chunk.dtype)
        if filled + len(pixels) > room:
            add_counts(held[:filled], positives.threshold, at_least, above)
            filled = 0
        held[filled : filled + len(pixels)] = pixels
        filled += len(pixels)
    if filled:
        add_counts(held[:filled], positives.threshold, at_least, above)
    return at_least + beyond, above + beyond


def add_counts(pixels: Floats, threshold: Floats, at_least: Counts, above: Counts) -> None:
    """Sort `pixels`, add to `at_least` and `above` how many of them are ≥ and > each threshold."""
    pixels.sort()
    position = np.searchsorted(pixels, threshold, "left")
    at_least += len(pixels) - position
    met = np.flatnonzero(pixels[np.minimum(position, len(pixels) - 1)] == threshold)
    position[met] = np.searchsorted(pixels, threshold[met], "right")
    above += len(pixels) - position


def regroup(source: Source, planes: int) -> Iterator[npt.NDArray[Any]]:
    """Walk `source` in chunks of `planes` images, the last one shorter.

    Raises Undefined if a stream's chunks are not of the announced shape.
    """
    if isinstance(source, np.ndarray):
        yield from (source[start : start + planes] for start in range(0, len(source), planes))
        return
    images, height, width = source.shape
    held: npt.NDArray[Any] | None = None
    filled = seen = 0
    for chunk in source:
        if chunk.shape[1:] != (height, width):
            raise Undefined(f"a chunk has shape {chunk.shape}, the stream announced {tuple(source.shape)}")
        seen += len(chunk)
        rest = chunk
        while len(rest):
            part, rest = rest[: planes - filled], rest[planes - filled :]
            if len(part) == planes:
                yield part
                continue
            # Copied: a stream may reuse its buffer for the next chunk.
            if held is None:
                held = np.empty((planes, height, width), chunk.dtype)
            held[filled : filled + len(part)] = part
            filled += len(part)
            if filled == planes:
                yield held
                filled = 0
    if filled and held is not None:
        yield held[:filled]
    if seen != images:
        raise Undefined(f"the stream gave {seen} images, it announced {images}")


@dataclass(frozen=True, eq=False)
class ArrayStream:
    """An array (N, H, W), e.g. a memory-mapped file, as a stream of chunks."""

    array: npt.NDArray[Any]
    planes: int = 16

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        images, height, width = self.array.shape
        return images, height, width

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return regroup(self.array, self.planes)
