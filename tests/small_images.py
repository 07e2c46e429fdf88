"""Small pictures in memory, for tests that run methods: an image is a function of its path."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import AuxiliarySet, Context, View
from ltbench.splits.images import ImageSet, LabelledImage, Pixels

SIDE = 64
SIZES = {"stripes": 10, "checks": 4}
"""Products and how many normal images each has."""


class Painter:
    """A PixelSource: product and defect are read off the path, nothing else of the datum."""

    def __init__(self, change: Callable[[str, Pixels], Pixels] = lambda path, pixels: pixels) -> None:
        self._change = change

    def pixels(self, image: LabelledImage) -> Pixels:
        draws = np.random.default_rng(int(image.key, 16))
        rows, columns = np.mgrid[:SIDE, :SIDE]
        shift = draws.uniform(0, 6)
        if image.path.startswith("stripes"):
            light = 120 + 50 * np.sin((columns + shift) / 3)
        else:
            light = 90 + 70 * ((rows // 8 + columns // 8) % 2)
        picture = light[..., None] * np.array([1.0, 0.9, 0.8]) + draws.normal(0, 5, (SIDE, SIDE, 3))
        if "spot" in image.path:
            top, left = draws.integers(12, SIDE - 24, size=2)
            picture[top : top + 12, left : left + 12] = 250, 20, 20
        pixels = np.clip(picture, 0, 255).astype(np.uint8)
        return self._change(image.path, pixels)

    def content_digest(self, image: LabelledImage) -> str:
        return hashlib.sha256(f"painter {image.path}".encode()).hexdigest()


def train_images(sizes: dict[str, int] = SIZES, *, spots: int = 0) -> list[LabelledImage]:
    """Normal images of each product, and `spots` defective ones of the first."""
    good = [
        LabelledImage(f"{product}/train/good/{number:03d}.png", product, "train")
        for product, size in sizes.items()
        for number in range(size)
    ]
    first = next(iter(sizes))
    injected = [
        LabelledImage(f"{first}/test/spot/{number:03d}.png", first, "test", "spot", "mask.png")
        for number in range(100, 100 + spots)
    ]
    return good + injected


def judged_images(count: int = 4, products: tuple[str, ...] = tuple(SIZES)) -> list[LabelledImage]:
    """Per product `count` good and `count` spotted images."""
    return [
        LabelledImage(f"{product}/test/{kind or 'good'}/{number:03d}.png", product, "test", kind)
        for product in products
        for kind in ("", "spot")
        for number in range(count)
    ]


def image_set(
    images: list[LabelledImage], needs: frozenset[str] = frozenset(), source: Painter | None = None
) -> ImageSet:
    """Images as the harness would hand them to a method with these needs."""
    # As in a split, an id does not depend on which images are shown.
    products = sorted({*SIZES, *(image.category for image in images)})
    ids = np.array([products.index(image.category) for image in images], np.int64)
    return ImageSet(
        images,
        source or Painter(),
        class_ids=ids if {"class_ids_fit", "class_ids_score"} & needs else None,
        class_names=tuple(products) if "class_names" in needs else None,
        camera_ids=np.arange(len(images)) % 2 if "camera_ids_fit" in needs else None,
    )


def context(
    seed: int = 0, figures: dict[str, float] | None = None, needs: frozenset[str] = frozenset()
) -> Context:
    """A Context for 64 x 64 images, with an auxiliary data set for a method with that need."""
    found = Context(rng=np.random.default_rng(seed), view=View(SIDE, SIDE))
    if figures is not None:
        found.report = figures.__setitem__
    if "auxiliary_masks" in needs:
        found.auxiliary = auxiliary_set()
    return found


def auxiliary_set(count: int = 4) -> AuxiliarySet:
    """Images of a third product; the mask of a spotted one is where it differs from its unspotted self."""
    kinds = ("", "spot")
    images = [
        LabelledImage(f"dots/test/{kinds[number % 2] or 'good'}/{number:03d}.png", "dots", "test")
        for number in range(count)
    ]
    ordered = sorted(images, key=lambda image: image.key)
    painter = Painter()

    def mask(index: int) -> npt.NDArray[np.bool_]:
        red, green = painter.pixels(ordered[index])[..., :2].astype(int).transpose(2, 0, 1)
        return red - green > 180

    labels = np.array(["spot" in image.path for image in ordered], np.bool_)
    return AuxiliarySet("dots", "d" * 64, ImageSet(images, painter), labels, mask)
