"""Anomalous pixels at the view's size, kept on disk, since all cells on a split need the same ones."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.blocks.regions import Regions, label_regions
from ltbench.methods.base import View
from ltbench.results.errors import ResultsError
from ltbench.results.files import write_bytes
from ltbench.splits.datasets import Dataset
from ltbench.splits.images import LabelledImage
from ltbench.splits.view import resize_and_crop_mask

_CHECKSUM_BYTES = 4
_READING = 2
"""Raised where the same mask files are read in another way."""
_NUMBER = np.dtype("<u4")


def regions_within(
    view: View, images: Sequence[LabelledImage], dataset: Dataset, folder: Path | None = None
) -> Regions:
    """Regions of the masks (N, crop, crop) of `images`; good images have none. Kept below `folder`, if given.

    What is kept is found by the state of the mask files, not by their names alone, and is made again where it
    is damaged. A folder that cannot be written costs time only.
    """
    file = kept_file(view, images, dataset, folder)
    kept = None if file is None else _read(file, len(images), view.crop**2)
    if kept is not None:
        return kept
    masks = np.zeros((len(images), view.crop, view.crop), dtype=bool)
    for index, image in enumerate(images):
        mask = dataset.mask(image) if image.is_defective else None
        if mask is not None:
            masks[index] = resize_and_crop_mask(mask, view.resize, view.crop, squeeze=view.squeeze)
    regions = label_regions(masks)
    if file is not None:
        content = _content(regions)
        try:
            write_bytes(file, content + zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big"))
        except ResultsError:
            # The regions are here; only the next cell has to find them again.
            return regions
    return regions


def kept_file(
    view: View, images: Sequence[LabelledImage], dataset: Dataset, folder: Path | None
) -> Path | None:
    """File below `folder` for facts of these masks; None if changes of a mask cannot be detected."""
    version = getattr(dataset, "mask_version", None)
    if version is None or folder is None:
        return None
    told = (f"{image.path}\t{image.mask}\t{version(image) if image.is_defective else ''}" for image in images)
    digest = hashlib.sha256("\n".join([f"{_READING} {dataset.name}\n{view}", *told]).encode())
    return folder / f"{digest.hexdigest()}.regions"


def _content(regions: Regions) -> bytes:
    """Anomalous pixels per image; then of each such pixel its place within the image, and its region."""
    per_image = regions.pixels // max(len(regions.pixels_of_image), 1)
    parts = (regions.pixels_of_image, regions.index % max(per_image, 1), regions.region)
    return b"".join(part.astype(_NUMBER).tobytes() for part in parts)


def _read(file: Path, count: int, per_image: int) -> Regions | None:
    """Stored regions; None if the file is missing or incomplete."""
    try:
        stored = file.read_bytes()
    except OSError:
        return None
    content, checksum = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:]
    if zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        return None
    numbers = np.frombuffer(content, _NUMBER)
    pixels_of_image = numbers[:count].astype(np.int64)
    place, region = _halves(numbers[count:])
    start = np.arange(count, dtype=np.int64) * per_image
    return Regions(
        pixels=count * per_image,
        index=np.repeat(start, pixels_of_image) + place,
        region=region.astype(np.int32),
        size=np.bincount(region).astype(np.int64, copy=False),
        pixels_of_image=pixels_of_image,
    )


def _halves(numbers: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    middle = len(numbers) // 2
    return numbers[:middle], numbers[middle:]
