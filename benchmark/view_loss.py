"""Images and defects that a view leaves out: cut off at its border, or lost by resizing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ltbench.benchmark.kept_regions import kept_file
from ltbench.benchmark.metrics.blocks.regions import EIGHT_NEIGHBOURS
from ltbench.methods.base import View
from ltbench.results.errors import ResultsError
from ltbench.results.files import read_json, write_json
from ltbench.results.reading import checked
from ltbench.results.record import ViewLossRecord
from ltbench.splits.datasets import Dataset
from ltbench.splits.images import LabelledImage
from ltbench.splits.view import inside_view, resize_and_crop_labels


def view_losses(
    images: Sequence[LabelledImage], dataset: Dataset, view: View, folder: Path | None = None
) -> Iterator[ViewLossRecord]:
    """Measure what `view` leaves out of these images, category by category, in the order of their names.

    `folder` keeps the measures: masks are read once for all methods.
    """
    for category in sorted({image.category for image in images}):
        own = [image for image in images if image.category == category]
        file = kept_file(view, own, dataset, folder)
        has_masks = any(image.mask for image in own)
        place = file.with_suffix(".loss.json") if file is not None and has_masks else None
        kept = _kept(place)
        if kept is None:
            kept = _measured(category, own, dataset, view)
            if place is not None:
                _keep(place, kept)
        yield kept


def _measured(category: str, images: Sequence[LabelledImage], dataset: Dataset, view: View) -> ViewLossRecord:
    areas, inside, marked = [], 0.0, 0
    regions = hidden_regions = defects = hidden_defects = 0
    for image in images:
        mask = dataset.mask(image) if image.is_defective and image.mask else None
        if mask is None:
            areas += [_outside(shape, view) for shape in [_shape(image, dataset)] if shape]
            continue
        labels, count = ndimage.label(mask > 0, EIGHT_NEIGHBOURS)
        areas.append(_outside(labels.shape, view))
        seen = np.unique(resize_and_crop_labels(labels, view.resize, view.crop, squeeze=view.squeeze))
        seen = seen[seen > 0]
        regions += count
        hidden_regions += count - len(seen)
        defects += count > 0
        hidden_defects += count > 0 and not len(seen)
        marked += int((mask > 0).sum())
        inside += _pixels_inside(mask > 0, view)
    return ViewLossRecord(
        category=category,
        area=float(np.mean(areas)) if areas else 0.0,
        defects=defects,
        hidden_defects=hidden_defects,
        regions=regions,
        hidden_regions=hidden_regions,
        pixels=1 - inside / marked if marked else 0.0,
    )


def _shape(image: LabelledImage, dataset: Dataset) -> tuple[int, int] | None:
    """(height, width) of an image if the data set knows it without decoding; else None."""
    shape = getattr(dataset, "shape", None)
    return shape(image) if shape else None


def _outside(shape: tuple[int, int], view: View) -> float:
    rows, columns = inside_view(shape, view.resize, view.crop, squeeze=view.squeeze)
    return float(1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (shape[0] * shape[1]))


def _pixels_inside(marked: npt.NDArray[np.bool_], view: View) -> int:
    return int(marked[inside_view(marked.shape, view.resize, view.crop, squeeze=view.squeeze)].sum())


def _kept(place: Path | None) -> ViewLossRecord | None:
    try:
        return None if place is None else checked(ViewLossRecord, read_json(place), place)
    except ResultsError:
        return None


def _keep(place: Path, loss: ViewLossRecord) -> None:
    try:
        write_json(place, asdict(loss))
    except ResultsError:
        # Only the next cell has to measure it again.
        return
