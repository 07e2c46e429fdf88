"""The few pictures that a report shows: chosen by key, stored once per data set."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ltbench.methods.base import View
from ltbench.results.files import write_bytes
from ltbench.results.places import Place
from ltbench.results.store import picture_stem, slug
from ltbench.splits.datasets import Dataset
from ltbench.splits.images import LabelledImage
from ltbench.splits.split import Split
from ltbench.splits.view import resize_and_crop, resize_and_crop_mask

DEFECTIVE_PER_CATEGORY = 3
GOOD_PER_CATEGORY = 1


def choose(split: Split) -> list[LabelledImage]:
    """First good image and first defective ones of each category, of different defect types if possible.

    The order of keys is a hash: the choice is the same for every method and seed, and not made by hand.
    """
    tested: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in split.test:
        tested[image.category].append(image)
    chosen: list[LabelledImage] = []
    for images in tested.values():
        seen: dict[str, int] = {}
        ranked = []
        for image in images:
            ranked.append((seen.get(image.defect, 0), image.key, image))
            seen[image.defect] = seen.get(image.defect, 0) + 1
        ranked.sort(key=lambda entry: entry[:2])
        chosen += [image for _, _, image in ranked if not image.is_defective][:GOOD_PER_CATEGORY]
        chosen += [image for _, _, image in ranked if image.is_defective][:DEFECTIVE_PER_CATEGORY]
    return chosen


def store_pictures(
    images: Sequence[LabelledImage], dataset: Dataset, view: View, results: Place
) -> list[dict[str, Any]]:
    """Write picture and mask of each image into `<results>/<dataset>/gallery/`; return their facts."""
    folder = results / slug(dataset.name) / "gallery"
    facts = []
    for image in images:
        stem = picture_stem(image.key, str(view))
        picture = folder / f"{stem}.jpg"
        if not picture.exists():
            cropped = resize_and_crop(dataset.pixels(image), view.resize, view.crop, squeeze=view.squeeze)
            _write(picture, Image.fromarray(cropped), format="JPEG", quality=88)
        mask = dataset.mask(image) if image.mask else None
        outline = folder / f"{stem}-mask.png"
        if mask is not None and not outline.exists():
            inside = resize_and_crop_mask(mask, view.resize, view.crop, squeeze=view.squeeze)
            _write(outline, Image.fromarray(inside.astype(np.uint8) * 255), format="PNG", optimize=True)
        facts.append({"key": image.key, "category": image.category, "defect": image.defect})
    return facts


def _write(path: Place, picture: Image.Image, **options: Any) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    write_bytes(path, buffer.getbuffer())
