"""Decodes images for a backbone, several at a time where that pays, each one once for all of its copies."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ltbench.methods.base import View
from ltbench.methods.features import transform
from ltbench.methods.features.transform import Augmentation, Pose
from ltbench.splits.images import ImageSet, Pixels
from ltbench.splits.view import centre_crop, resize_image

_MOST_THREADS = 16

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Row:
    """One view to embed: an image, or a rotated and mirrored copy of it."""

    index: int
    pose: Pose | None = None
    """None = as it is."""


class PixelReader:
    """Reads rows of one image set in one view."""

    def __init__(self, images: ImageSet, view: View, augment: Augmentation | None, *, threaded: bool) -> None:
        """`threaded` decodes a batch in parallel: only worth it if the backbone does not use the CPU."""
        self._images = images
        self._view = view
        self._augment = augment
        self._threads = min(_MOST_THREADS, os.cpu_count() or 1) if threaded else 1
        self._last: dict[int, Pixels] = {}

    def key(self, row: Row) -> str:
        """Name of a row's features in the cache: the image's content, and the pose of a copy."""
        content = self._images.content_digest(row.index)
        if row.pose is None or self._augment is None:
            return content
        return f"{content}-{self._augment.record_name(row.pose)}"

    def read(self, rows: Sequence[Row]) -> Pixels:
        """uint8 (len(rows), crop, crop, 3), in the order of the rows."""
        wanted = list(dict.fromkeys(row.index for row in rows))
        resized = dict(zip(wanted, self._mapped(self._resized, wanted), strict=True))
        # The copies of one image may go on in the next batch.
        self._last = {wanted[-1]: resized[wanted[-1]]}
        return np.stack(self._mapped(lambda row: self._seen(resized[row.index], row.pose), rows))

    def _resized(self, index: int) -> Pixels:
        if index in self._last:
            return self._last[index]
        return resize_image(self._images[index], self._view.resize, squeeze=self._view.squeeze)

    def _seen(self, resized: Pixels, pose: Pose | None) -> Pixels:
        if pose is None or self._augment is None:
            return centre_crop(resized, self._view.crop)
        return transform.pose_of(resized, self._view.crop, self._augment, pose)

    def _mapped(self, work: Callable[[In], Out], items: Sequence[In]) -> list[Out]:
        if self._threads == 1 or len(items) == 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(work, items))
