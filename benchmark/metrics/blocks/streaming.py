"""Exact pixel curve of maps that do not fit into memory, bit for bit, within a memory limit.

The first iteration over the maps gathers the anomalous pixels, the second one sorts each chunk and adds its
counts. Anomalous pixels that exceed the limit go to disk; the score range is then processed in blocks, with
one iteration per block.
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

# Measured peak memory, rounded up, per pixel of a chunk, per anomalous pixel held and per sorted pixel.
BYTES_PER_CHUNK_PIXEL = 24
BYTES_PER_POSITIVE = 128
BYTES_PER_SORTED_PIXEL = 8


@dataclass(frozen=True)
class Ceiling:
    """Sizes that keep a pass below `memory_bytes`, not counting the memory of the streams."""

    memory_bytes: int

    @property
    def chunk_pixels(self) -> int:
        """Pixels of a chunk; more than a few million do not make the sort faster."""
        return min(self.memory_bytes // 4 // BYTES_PER_CHUNK_PIXEL, 1 << 22)

    @property
    def positives(self) -> int:
        """Largest number of anomalous pixels in memory."""
        return max(self.memory_bytes // 2 // BYTES_PER_POSITIVE, 1)

    @property
    def sorted_pixels(self) -> int:
        """Number of pixels to sort at a time."""
        return self.memory_bytes // 8 // BYTES_PER_SORTED_PIXEL


def curve_of_stream(
    maps: Source,
    masks: Source,
    *,
    check: Callable[[npt.NDArray[np.int64]], None] | None = None,
    memory_bytes: int = 1 << 30,
) -> Curve:
    """Compute the pixel curve of streams that can be iterated repeatedly.

    Args:
        maps: (N, H, W) anomaly maps, an array or a stream.
        masks: (N, H, W) masks, an array or a stream.
        check: Function that is called with the number of anomalous pixels of each image (N,).
        memory_bytes: Memory limit.

    Raises:
        Undefined: As `pixel_curve` does.
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
    """Count the pixels of all maps at and above each threshold.

    Args:
        maps: (N, H, W) anomaly maps, an array or a stream.
        planes: Images per chunk.
        positives: Anomalous pixels, whose scores in [low, high) are the thresholds.
        room: Pixels sorted at a time; at least a chunk, and at most four times the number of thresholds.
        low: Lower end of the thresholds.
        high: Upper end of the thresholds.

    Returns:
        Numbers of pixels ≥ and > each threshold.
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
    """Sort `pixels` in place and add their numbers ≥ and > each threshold to `at_least` and `above`."""
    pixels.sort()
    position = np.searchsorted(pixels, threshold, "left")
    at_least += len(pixels) - position
    met = np.flatnonzero(pixels[np.minimum(position, len(pixels) - 1)] == threshold)
    position[met] = np.searchsorted(pixels, threshold[met], "right")
    above += len(pixels) - position


def regroup(source: Source, planes: int) -> Iterator[npt.NDArray[Any]]:
    """Yield chunks of `planes` images of an array or stream, the last one possibly shorter.

    Raises Undefined if a stream's chunks differ from its announced shape.
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
    """Stream of chunks of an array (N, H, W), e.g. of a memory-mapped file."""

    array: npt.NDArray[Any]
    planes: int = 16

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        images, height, width = self.array.shape
        return images, height, width

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return regroup(self.array, self.planes)
