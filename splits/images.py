"""One image of a data set, and the view of many of them that methods are given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ltbench.splits.errors import DataMissing

Part = Literal["train", "test"]
UNKNOWN = "?"
"""The `defect` of an image whose label is kept in a file that is not at hand (DAGM's test images)."""
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image of a data set, with its category, part, defect and mask as the authors published them."""

    path: str
    """Relative to the data set's root, "/" separators: the identity of the datum."""
    category: str
    part: Part
    """Part that the authors put the image in; recipes may train on a test image (an injected defect)."""
    defect: str = ""
    """Name of the defect type; "" = good, UNKNOWN = known only from the data set's own label files."""
    mask: str = ""
    """Path of the pixel mask relative to the root; "" = none."""

    @property
    def key(self) -> str:
        """Hash of the path, 16 hex digits: names and orders a datum without telling its label."""
        return hashlib.sha256(self.path.encode()).hexdigest()[:16]

    @property
    def is_defective(self) -> bool:
        """Raises DataMissing where the label is unknown: neither answer would be true."""
        if self.defect == UNKNOWN:
            raise DataMissing(
                f"whether '{self.path}' is defective is told only by the data set's own label files: "
                "put the data set on this machine"
            )
        return self.defect != ""


class PixelSource(Protocol):
    """Source of an image's pixels; every data set is one."""

    def pixels(self, image: LabelledImage) -> Pixels:
        """uint8 (H, W, 3), RGB. Raises SplitsError naming the file when it cannot be read."""
        ...

    def content_digest(self, image: LabelledImage) -> str:
        """Hash of what determines the pixels (file bytes, or the generator's recipe), 64 hex digits."""
        ...


class ImageSet:
    """Images as methods see them: pixels in random order, and the inputs that the method declared as needs.

    A narrow waist on purpose: no path, no label, no part, no defect type can be reached from here, so a
    method cannot use what a factory does not know. Class ids, class names and camera ids are None unless the
    method declared the need, and then every result shows the need.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        source: PixelSource,
        *,
        class_ids: npt.NDArray[np.int64] | None = None,
        class_names: tuple[str, ...] | None = None,
        camera_ids: npt.NDArray[np.int64] | None = None,
    ) -> None:
        # Name-mangled: a method that reaches in does so knowingly, and a review sees it.
        self.__images = sorted(images, key=lambda image: image.key)
        self.__source = source
        order = sorted(range(len(images)), key=lambda i: images[i].key)
        self.class_ids = None if class_ids is None else class_ids[order]
        """int64 (N,), or None where the method did not declare the need."""
        self.camera_ids = None if camera_ids is None else camera_ids[order]
        """int64 (N,), or None where the method did not declare the need; all 0 with a single camera."""
        self.class_names = class_names
        """Name of each class id, or None where the method did not declare the need."""

    def __len__(self) -> int:
        return len(self.__images)

    def __getitem__(self, index: int) -> Pixels:
        """uint8 (H, W, 3), RGB, at the original resolution."""
        return self.__source.pixels(self.__images[index])

    def __iter__(self) -> Iterator[Pixels]:
        return (self[index] for index in range(len(self)))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """One key per image, ascending: the order of every array a method returns."""
        return tuple(image.key for image in self.__images)

    def content_digest(self, index: int) -> str:
        """Hash of the image's content, 64 hex digits: the name under which features are cached."""
        return self.__source.content_digest(self.__images[index])
