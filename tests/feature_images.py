"""Image sets made in memory, for the tests of features."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ltbench.methods.base import Context, View
from ltbench.methods.features.cache import FeatureCache
from ltbench.splits.images import ImageSet, LabelledImage, Pixels


@dataclass
class NoisePictures:
    """Noise of one size; the content is the path's hash. Counts how often each image is decoded."""

    height: int = 70
    width: int = 90
    decoded: Counter[str] = field(default_factory=Counter)

    def pixels(self, image: LabelledImage) -> Pixels:
        self.decoded[image.path] += 1
        seed = int(image.key, 16)
        coarse = np.random.default_rng(seed).integers(0, 256, (self.height // 5, self.width // 5, 3))
        return np.kron(coarse, np.ones((5, 5, 1))).astype(np.uint8)

    def content_digest(self, image: LabelledImage) -> str:
        return hashlib.sha256(image.path.encode()).hexdigest()


@dataclass
class ProgressNotes:
    """A Progress that remembers what it was told."""

    steps: list[tuple[str, int | None, int]] = field(default_factory=list)

    def __call__(self, items: Iterable[Any], title: str, total: int | None = None) -> Iterator[Any]:
        done = 0
        for item in items:
            yield item
            done += 1
        self.steps.append((title, total, done))


def images(count: int, source: NoisePictures | None = None) -> ImageSet:
    """`count` images of one category."""
    found = [LabelledImage(f"a/{number}.png", "a", "train") for number in range(count)]
    return ImageSet(found, source or NoisePictures())


def context(cache: FeatureCache | None = None, view: View | None = None, **others: Any) -> Context:
    """A context with a small view, so that a test takes milliseconds."""
    return Context(rng=np.random.default_rng(0), view=view or View(64, 56), cache=cache, **others)


def cache_in(folder: Path, max_bytes: int = 10**9) -> FeatureCache:
    return FeatureCache(folder / "features", max_bytes)
