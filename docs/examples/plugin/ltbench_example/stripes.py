"""The data set `stripes`: two striped textures, drawn when they are needed; a defect is a white square."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ltbench.splits.images import LabelledImage, Part, Pixels

VERSION = 1
SIDE = 64


def _images() -> tuple[LabelledImage, ...]:
    images = []
    for category in ("coarse", "fine"):
        counts: tuple[tuple[Part, str, int], ...] = (("train", "", 8), ("test", "", 4), ("test", "square", 4))
        for part, defect, count in counts:
            for index in range(count):
                path = f"{category}/{part}/{defect or 'good'}/{index:03d}.png"
                mask = f"{category}/ground_truth/{defect}/{index:03d}_mask.png" if defect else ""
                images.append(LabelledImage(path, category, part, defect, mask))
    return tuple(images)


class Stripes:
    """Every attribute and method of `ltbench.splits.datasets.Dataset`; one of files uses `FileDataset`."""

    name = "stripes"
    title = "Stripes"
    licence = "CC0-1.0"
    citation = ""
    address = "part of ltbench-example"
    size = "no download"
    default_contamination = 0.1
    gallery_allowed = True

    def images(self) -> tuple[LabelledImage, ...]:
        return _images()

    def pixels(self, image: LabelledImage) -> Pixels:
        rng = np.random.default_rng(int(image.key, 16))
        period = 16 if image.category == "coarse" else 6
        stripes = 60 + 80 * ((np.arange(SIDE) + rng.integers(period)) // (period // 2) % 2)
        grey = stripes[None, :] + rng.integers(-10, 11, (SIDE, SIDE))
        mask = self.mask(image)
        if mask is not None:
            grey[mask > 0] = 250
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)

    def mask(self, image: LabelledImage) -> Pixels | None:
        if not image.mask:
            return None
        top, left = np.random.default_rng(int(image.key, 16) + 1).integers(8, SIDE - 24, size=2)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[top : top + 16, left : left + 16] = 255
        return mask

    def content_digest(self, image: LabelledImage) -> str:
        return hashlib.sha256(f"stripes {VERSION} {image.path}".encode()).hexdigest()

    def data_digest(self) -> str:
        return hashlib.sha256(f"stripes {VERSION}".encode()).hexdigest()

    def require_pixels(self) -> None:
        """Nothing is missing: the images are drawn."""


def open_dataset(data_root: Path, argument: str) -> Stripes:  # noqa: ARG001
    """The data set; "stripes:WORD" would arrive as the argument WORD."""
    return Stripes()
