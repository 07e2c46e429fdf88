"""Anomalous pixels of masks and their connected regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

# 8-connectivity, as in the MVTec AD evaluation: pixels that touch at a corner are one defect.
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True, eq=False)
class Regions:
    """Anomalous pixels of a stack of masks and their connected regions, each within one image."""

    pixels: int
    """Number of pixels of all masks."""
    index: npt.NDArray[np.int64]
    """(P,), flat positions of the anomalous pixels, ascending."""
    region: npt.NDArray[np.int32]
    """(P,), region of each anomalous pixel, 0 … R-1, in the order of the images."""
    size: npt.NDArray[np.int64]
    """(R,), number of pixels of each region."""
    pixels_of_image: npt.NDArray[np.int64]
    """(N,), number of anomalous pixels of each image."""

    @cached_property
    def weight(self) -> npt.NDArray[np.float64]:
        """Weight (P,) of each anomalous pixel, 1 / size of its region, so that a region sums to one."""
        weight: npt.NDArray[np.float64] = (1.0 / self.size)[self.region]
        return weight

    @cached_property
    def image(self) -> npt.NDArray[np.int64]:
        """Index of the image that contains each region, int64 (R,)."""
        image = np.empty(len(self.size), np.int64)
        image[self.region] = self.index // (self.pixels // max(len(self.pixels_of_image), 1))
        return image


class MasksOfRegions:
    """Masks (N, H, W) reconstructed on demand from their regions."""

    def __init__(self, regions: Regions, shape: tuple[int, int, int]) -> None:
        self._regions = regions
        self.shape = shape
        self.dtype = np.dtype(bool)

    def fill(self, out: npt.NDArray[Any]) -> None:
        """Write the masks into `out`, true where anomalous."""
        out[:] = False
        out.reshape(-1)[self._regions.index] = True

    def __iter__(self) -> Iterator[npt.NDArray[np.bool_]]:
        """Yield the masks one by one, each (1, H, W)."""
        images, height, width = self.shape
        index = self._regions.index
        borders = np.searchsorted(index, np.arange(images + 1, dtype=np.int64) * (height * width))
        for image, (start, stop) in enumerate(pairwise(borders)):
            mask = np.zeros((1, height, width), bool)
            mask.reshape(-1)[index[start:stop] - image * height * width] = True
            yield mask

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        masks = np.empty(self.shape, self.dtype)
        self.fill(masks)
        return masks if dtype is None else masks.astype(dtype, copy=False)


def label_regions(masks: npt.NDArray[np.bool_]) -> Regions:
    """Label the 8-connected regions of masks (N, H, W), in the bounding box of each image's defects."""
    count, height, width = masks.shape
    index = np.flatnonzero(masks).astype(np.int64, copy=False)
    borders = np.searchsorted(index, np.arange(count + 1, dtype=np.int64) * (height * width))
    region = np.empty(len(index), np.int32)
    labelled = 0
    for image in np.flatnonzero(np.diff(borders)):
        here = slice(borders[image], borders[image + 1])
        rows, columns = np.divmod(index[here] - image * height * width, width)
        top, left = rows[0], columns.min()
        box = masks[image, top : rows[-1] + 1, left : columns.max() + 1]
        labels, regions = ndimage.label(box, EIGHT_NEIGHBOURS)
        region[here] = labels[rows - top, columns - left]
        region[here] += labelled - 1
        labelled += regions
    size = np.bincount(region, minlength=labelled).astype(np.int64, copy=False)
    return Regions(masks.size, index, region, size, np.diff(borders))
