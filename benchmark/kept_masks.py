"""Masks at the view's size, kept on disk: every cell on a split asks for the same ones."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from methods.base import View
from results.errors import ResultsError
from results.files import write_bytes
from splits.datasets import Dataset
from splits.images import LabelledImage
from splits.view import resize_and_crop_mask

Masks = npt.NDArray[np.bool_]
_CHECKSUM_BYTES = 4


def masks_within(
    view: View, images: Sequence[LabelledImage], dataset: Dataset, folder: Path | None = None
) -> Masks:
    """(N, crop, crop), true where defective; good images have none. Kept below `folder`, if given.

    What is kept is found by the state of the mask files, not by their names alone, and is made again where it
    is damaged. A folder that cannot be written costs time only.
    """
    file = None if folder is None else _file(view, images, dataset, folder)
    masks: Masks = np.zeros((len(images), view.crop, view.crop), dtype=bool)
    defective = [index for index, image in enumerate(images) if image.is_defective]
    kept = None if file is None else _read(file, len(defective) * view.crop * view.crop)
    if kept is not None:
        masks[defective] = kept.reshape(len(defective), view.crop, view.crop)
        return masks
    for index in defective:
        mask = dataset.mask(images[index])
        if mask is not None:
            masks[index] = resize_and_crop_mask(mask, view.resize, view.crop)
    if file is not None:
        content = np.packbits(masks[defective]).tobytes()
        try:
            write_bytes(file, content + zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big"))
        except ResultsError:
            # The masks are here; only the next cell has to read them again.
            return masks
    return masks


def _file(view: View, images: Sequence[LabelledImage], dataset: Dataset, folder: Path) -> Path | None:
    """None where the data set cannot tell whether a mask has changed."""
    version = getattr(dataset, "mask_version", None)
    if version is None:
        return None
    digest = hashlib.sha256(f"{dataset.name}\n{view}".encode())
    for image in images:
        told = version(image) if image.is_defective else ""
        digest.update(f"\n{image.path}\t{image.mask}\t{told}".encode())
    return folder / f"{digest.hexdigest()}.bits"


def _read(file: Path, count: int) -> Masks | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    bits, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if len(bits) != -(-count // 8) or zlib.crc32(bits).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        return None
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).astype(bool)
