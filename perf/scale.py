"""The pixel metrics of a category as large as Real-IAD's, streamed, in a process with limited memory.

`python -m perf.scale` starts that process: thousands of maps of 1024², made from their patch scores chunk by
chunk as the evaluation makes them, under a limit of 2 GiB on its address space.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.maps import anomaly_maps
from ltbench.benchmark.metrics import Answer, Truth, evaluate
from perf.comparison import Row
from perf.memory import resident

NAME = "streamed at the scale of Real-IAD"
IMAGES, SIZE, LIMIT = 3000, 1024, 2 << 30
FOUR = ("pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")


@dataclass(frozen=True, eq=False)
class Category:
    """Patch scores and, per image, the corners (top, left, bottom, right) of its defect; empty = good."""

    grids: npt.NDArray[np.float32]
    corners: npt.NDArray[np.int64]
    size: int


@dataclass(frozen=True)
class MapsOf:
    """Maps of a category as a stream."""

    category: Category
    planes: int = 4

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        return len(self.category.grids), self.category.size, self.category.size

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        for low in range(0, self.shape[0], self.planes):
            yield anomaly_maps(self.category.grids[low : low + self.planes], self.category.size, 4.0)


@dataclass(frozen=True)
class MasksOf:
    """Masks of a category as a stream."""

    category: Category
    planes: int = 4

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        return len(self.category.grids), self.category.size, self.category.size

    def __iter__(self) -> Iterator[npt.NDArray[np.bool_]]:
        for low in range(0, self.shape[0], self.planes):
            corners = self.category.corners[low : low + self.planes]
            masks = np.zeros((len(corners), *self.shape[1:]), bool)
            for mask, (top, left, bottom, right) in zip(masks, corners, strict=True):
                mask[top:bottom, left:right] = True
            yield masks


def category(images: int, size: int) -> Category:
    """Every third image has a defect of up to an eighth of its side: about 0.3 % of all pixels."""
    rng = np.random.default_rng(0)
    grids = rng.gamma(4, 0.5, (images, 28, 28)).astype(np.float32)
    corners = np.zeros((images, 4), np.int64)
    for image in range(0, images, 3):
        height, width = rng.integers(size // 32, size // 8, 2)
        top, left = rng.integers(0, size - height), rng.integers(0, size - width)
        corners[image] = top, left, top + height, left + width
        rows, columns = (slice(low * 28 // size, high * 28 // size + 1) for low, high in
                         ((top, top + height), (left, left + width)))  # fmt: skip
        grids[image, rows, columns] += 4 * rng.random()
    return Category(grids, corners, size)


def streamed(images: int, size: int, memory_bytes: int) -> dict[str, Any]:
    """Values, processor and wall seconds, highest resident memory of this process."""
    given = category(images, size)
    truth = Truth(given.corners[:, 2] > 0, MasksOf(given))
    processor, wall = time.process_time(), time.perf_counter()
    values = evaluate(truth, Answer(maps=MapsOf(given), memory_bytes=memory_bytes), FOUR)
    return {
        "answer": {value.metric: value.value for value in values},
        "seconds": time.process_time() - processor,
        "wall": time.perf_counter() - wall,
        "peak_mb": resident("VmHWM") / 1e6,
    }


def measured(images: int = IMAGES, size: int = SIZE) -> list[Row]:
    """One row, measured in a process of its own with a limit on its address space."""
    command = [sys.executable, "-m", "perf.scale", "--inside", "--images", str(images), "--size", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = f"{images} maps of {size}², AUROC + AP + F1max + AUPRO, address space limited to 2 GiB"
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return [Row(NAME, text, "ltbench", ours=True, verdict=f"failed: {why}", target="below 2 GiB")]
    found = json.loads(done.stdout.splitlines()[-1])
    return [
        Row(
            NAME,
            text,
            "ltbench",
            ours=True,
            seconds=found["seconds"],
            rounds=1,
            peak_mb=found["peak_mb"],
            verdict="ok" if found["peak_mb"] * 1e6 < LIMIT else "wanted less than 2 GiB",
            target="below 2 GiB",
            answer=found["answer"],
        )
    ]


def main() -> None:
    """Measure and print; with --inside, be the process that is measured."""
    parser = argparse.ArgumentParser(prog="python -m perf.scale", description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
        print(json.dumps(streamed(options.images, options.size, LIMIT // 2)))
    else:
        print(*measured(options.images, options.size), sep=os.linesep)


if __name__ == "__main__":
    main()
