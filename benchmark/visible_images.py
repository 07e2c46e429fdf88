"""The images as a method may see them: pixels, and of all else only what the method declared."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ltbench.benchmark.resolve import Prepared
from ltbench.splits.images import ImageSet, LabelledImage, PixelSource


def visible_images(stage: str, images: Sequence[LabelledImage], prepared: Prepared) -> ImageSet:
    """Images of the stage "fit" or "score"; class ids, names and cameras only if the method needs them."""
    return image_set(stage, images, prepared.dataset, prepared.facts.needs, prepared.split.categories)


def image_set(
    stage: str,
    images: Sequence[LabelledImage],
    source: PixelSource,
    needs: Collection[str],
    categories: tuple[str, ...],
) -> ImageSet:
    """Images for a method with these needs; a class id is a position among the categories."""
    class_ids = None
    if f"class_ids_{stage}" in needs:
        class_ids = np.array([categories.index(image.category) for image in images], dtype=np.int64)
    camera_ids = None
    if f"camera_ids_{stage}" in needs:
        camera = getattr(source, "camera", lambda _: 0)
        camera_ids = np.array([camera(image) for image in images], dtype=np.int64)
    class_names = categories if "class_names" in needs else None
    return ImageSet(images, source, class_ids=class_ids, class_names=class_names, camera_ids=camera_ids)
