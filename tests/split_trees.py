"""Tiny data sets on disk, in every layout that the official ones come in, and small ones in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ltbench.splits.images import LabelledImage, Pixels


def draw(path: Path, *, size: int = 16, level: int = 120) -> Path:
    """A grey image file; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size, 3), level, dtype=np.uint8)).save(path)
    return path


def draw_mask(path: Path, *, size: int = 16, level: int = 255) -> Path:
    """A mask file whose upper left quarter holds `level`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[: size // 2, : size // 2] = level
    Image.fromarray(mask).save(path)
    return path


def mvtec_style_class(
    root: Path, name: str, *, train: int = 3, good: int = 2, bad: int = 2, suffix: str | None = "_mask"
) -> None:
    """`suffix=None` leaves the masks out."""
    for index in range(train):
        draw(root / name / "train" / "good" / f"{index:03d}.png", level=100 + index)
    for index in range(good):
        draw(root / name / "test" / "good" / f"{index:03d}.png", level=140 + index)
    for index in range(bad):
        draw(root / name / "test" / "scratch" / f"{index:03d}.png", level=180 + index)
        if suffix is not None:
            draw_mask(root / name / "ground_truth" / "scratch" / f"{index:03d}{suffix}.png")


class ListedDataset:
    """A data set of names alone, for recipes."""

    title = "a listing"
    licence = citation = address = size = ""
    gallery_allowed = True

    def __init__(self, images: list[LabelledImage], name: str = "listed", contamination: float = 0.1) -> None:
        self.name = name
        self.default_contamination = contamination
        self._images = tuple(images)

    def images(self) -> tuple[LabelledImage, ...]:
        return self._images

    def pixels(self, image: LabelledImage) -> Pixels:
        raise NotImplementedError

    def mask(self, image: LabelledImage) -> Pixels | None:
        raise NotImplementedError

    def content_digest(self, image: LabelledImage) -> str:
        raise NotImplementedError

    def require_pixels(self) -> None:
        raise NotImplementedError

    def data_digest(self) -> str:
        raise NotImplementedError


def listed(counts: dict[str, tuple[int, int, int]], **options: object) -> ListedDataset:
    """A data set with (train goods, test goods, test defects) images per class, in MVTec-style paths."""
    images: list[LabelledImage] = []
    for name, (train, good, bad) in counts.items():
        images += [LabelledImage(f"{name}/train/good/{i:03d}.png", name, "train") for i in range(train)]
        images += [LabelledImage(f"{name}/test/good/{i:03d}.png", name, "test") for i in range(good)]
        images += [LabelledImage(f"{name}/test/cut/{i:03d}.png", name, "test", "cut") for i in range(bad)]
    return ListedDataset(images, **options)  # type: ignore[arg-type]
