"""Images to score with a model: files, folders and arrays, a few at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.errors import UsageError
from ltbench.splits.datasets.decoding import Reading, read_pixels
from ltbench.splits.datasets.layout import IMAGE_SUFFIXES
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage, Pixels

Image: TypeAlias = str | Path | npt.NDArray[np.uint8]
TOGETHER = 16
"""Images that are read and scored at a time."""


@dataclass(frozen=True)
class Asked:
    """One image, read or not."""

    name: str
    """Path of the image, or its number among the arrays."""
    pixels: Pixels | None
    error: str = ""
    """Reason why the image could not be read; "" if it was."""


@dataclass(frozen=True)
class AskedPixels:
    """A PixelSource of a few images by the paths of their data."""

    pixels_of: Mapping[str, Pixels]

    def pixels(self, image: LabelledImage) -> Pixels:
        """uint8 (H, W, 3)."""
        return self.pixels_of[image.path]

    def content_digest(self, image: LabelledImage) -> str:
        """Hash of the pixels."""
        return hashlib.sha256(self.pixels_of[image.path].tobytes()).hexdigest()


def listed(images: Image | Sequence[Image]) -> list[Image]:
    """List of single images, with folders replaced by their image files, sorted by name.

    Raises UsageError if there is no image.
    """
    given = [images] if isinstance(images, str | Path | np.ndarray) else list(images)
    found: list[Image] = []
    for image in given:
        is_folder = not isinstance(image, np.ndarray) and Path(image).is_dir()
        found += files_in(Path(str(image))) if is_folder else [image]
    if not found:
        raise UsageError("no image given: expected image files, or a folder that holds some")
    return found


def files_in(folder: Path) -> list[Path]:
    """Image files directly in a folder, by name. Raises UsageError for one that cannot be listed."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(
            f"folder '{folder}' cannot be listed ({error.strerror}): make it readable"
        ) from error
    shown = (path for path in entries if not path.name.startswith("."))
    return [path for path in shown if path.suffix.lower() in IMAGE_SUFFIXES]


def in_parts(images: Sequence[Image], reading: Reading) -> Iterator[list[Asked]]:
    """All images, decoded, a few at a time."""
    numbered = iter(enumerate(images))
    while part := list(islice(numbered, TOGETHER)):
        yield [_read(number, image, reading) for number, image in part]


def _read(number: int, image: Any, reading: Reading) -> Asked:
    if not isinstance(image, str | Path):
        array = np.asarray(image)
        if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
            return Asked(str(number), array)
        shape = f"{array.dtype} of shape {array.shape}"
        return Asked(str(number), None, f"image {number} is {shape}: expected uint8 (H, W, 3), RGB")
    try:
        return Asked(str(image), read_pixels(Path(image), reading))
    except SplitsError as error:
        return Asked(str(image), None, str(error))
