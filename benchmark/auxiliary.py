"""The labelled data set that a method learns from beside the judged one, and why it must be another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.declared import needs_of
from ltbench.benchmark.errors import UsageError
from ltbench.methods.base import AuxiliarySet, Method
from ltbench.splits.datasets import Dataset
from ltbench.splits.errors import DataMissing
from ltbench.splits.images import ImageSet, LabelledImage


@dataclass(frozen=True)
class Auxiliary:
    """Test part of an open data set: good images, and defective ones that have a mask."""

    name: str
    """Argument that opens the data set, also in another process."""
    dataset: Dataset
    images: tuple[LabelledImage, ...]
    """Ordered by key."""
    without_mask: int
    """Defective test images that are left out because their defect has no mask."""

    @cached_property
    def digest(self) -> str:
        return self.dataset.data_digest()

    def facts(self) -> dict[str, Any]:
        """Facts about the auxiliary data set for the record: name, licence, digest, numbers of images."""
        return {
            "name": self.dataset.name,
            "title": self.dataset.title,
            "licence": self.dataset.licence,
            "citation": self.dataset.citation,
            "digest": self.digest,
            "images": len(self.images),
            "defects": sum(image.is_defective for image in self.images),
            "without_mask": self.without_mask,
        }

    def for_method(self) -> AuxiliarySet:
        """Images as the method sees them; a mask is read when the method requests it."""
        labels = np.array([image.is_defective for image in self.images], dtype=np.bool_)
        return AuxiliarySet(
            self.dataset.name, self.digest, ImageSet(self.images, self.dataset), labels, self._mask
        )

    def _mask(self, index: int) -> npt.NDArray[np.bool_]:
        mask = self.dataset.mask(self.images[index])
        if mask is None:
            raise DataMissing(
                f"image {index} ('{self.images[index].key}') of the auxiliary data set '{self.dataset.name}' "
                "has no mask: ask for masks of defective images only"
            )
        return np.asarray(mask > 0)


def auxiliary_of(method: Method, target: Dataset, opened: Callable[[str], Dataset]) -> Auxiliary | None:
    """The data set that the method's field `auxiliary` names; None for a method without the need.

    Raises UsageError where it is the judged data set, under whatever name: the method would have learned
    from the labels it is judged by. Raises UnknownName and DataMissing as `opened` does.
    """
    if "auxiliary_masks" not in needs_of(method):
        return None
    name = str(getattr(method, "auxiliary", ""))
    if not name:
        raise UsageError(
            "the method needs an auxiliary data set and names none: set its field 'auxiliary', "
            "e.g. --set auxiliary=visa"
        )
    dataset = opened(name)
    # Folders have names of their own choice: two called "parts" can differ.
    same_name = dataset.name == target.name and ":" not in name
    if same_name or dataset.data_digest() == target.data_digest() or _shares_images(dataset, target):
        raise UsageError(_leak(name, target))
    test = sorted((image for image in dataset.images() if image.part == "test"), key=lambda image: image.key)
    kept = tuple(image for image in test if not image.is_defective or image.mask)
    if not any(image.is_defective for image in kept):
        raise UsageError(
            f"the auxiliary data set '{name}' has no defective test image with a mask: choose another one, "
            "e.g. --set auxiliary=visa"
        )
    return Auxiliary(name, dataset, kept, len(test) - len(kept))


def _shares_images(one: Dataset, other: Dataset) -> bool:
    """Whether any image of the same name has the same content; a copy of a data set keeps its layout."""
    there = {image.path: image for image in other.images()}
    return any(
        one.content_digest(image) == other.content_digest(there[image.path])
        for image in one.images()
        if image.path in there
    )


def _leak(name: str, target: Dataset) -> str:
    return (
        f"the auxiliary data set '{name}' is the judged one ('{target.name}'): learning from the labels that "
        "judge would be leakage; choose another one with --set auxiliary=NAME"
    )
