"""Data sets described by a `dataset.toml`, with folders per class or a labelled CSV list."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ltbench.splits.datasets.decoding import WHITE, Reading
from ltbench.splits.datasets.layout import (
    MASK_ENDING,
    MEANT_AS_GOOD,
    image_names,
    mask_names,
    require_own_masks,
    stem_of,
)
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.images import LabelledImage, Part

FILE_NAME = "dataset.toml"
GOOD_LABELS = MEANT_AS_GOOD | {"", "0", "false"}
"""Case-insensitive labels of good images in a CSV list; any other label is the name of the defect."""
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "image", "image_path", "file", "filename"),
    "label": ("label", "label_index", "defect", "is_anomaly"),
    "mask": ("mask", "mask_path"),
    "category": ("category", "class", "product", "object"),
    "split": ("split", "part", "set"),
}
"""Columns of a CSV list with their accepted names; only path and label are required."""


_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "a table"}


@dataclass(frozen=True)
class DefectFolder:
    """Folders of one type of defect, relative to the root."""

    images: str
    masks: str = ""
    """Folder of the masks; "" = none."""


@dataclass(frozen=True)
class ClassFolders:
    """Folders of one class, relative to the root."""

    good: tuple[str, ...] = ()
    """Folders of good training images."""
    test_good: tuple[str, ...] = ()
    defects: Mapping[str, DefectFolder] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """Facts of a user's data set that its files do not contain."""

    title: str = ""
    licence: str = "yours"
    gallery_allowed: bool = False
    """Whether reports may show images."""
    root: str = ""
    """Folder of the images; "" = the folder of `dataset.toml`."""
    white: int = WHITE
    """Value of a grey 16-bit image that becomes 255."""
    mask_ending: str = MASK_ENDING
    """Suffix of mask names after the image's name, e.g. "_gt" for 000_gt.png; "_mask" and "" always count."""
    mask_above: int = 0
    """Pixels of a mask above this value are marked."""
    inverted_masks: bool = False
    """Whether masks mark the good pixels."""
    hold_out: float = 0.2
    """Share of good images moved from training to test, for classes without good test images."""
    listing: str = ""
    """CSV list of the images, relative to the root; "" = use `classes`."""
    classes: Mapping[str, ClassFolders] = field(default_factory=dict)

    @property
    def has_layout(self) -> bool:
        """Whether folders or a list are described; otherwise the layout is MVTec AD's."""
        return bool(self.listing or self.classes)

    @property
    def reading(self) -> Reading:
        """Options of decoding."""
        return Reading(True, self.white, self.mask_above, self.inverted_masks)

    def images(self, root: Path) -> tuple[LabelledImage, ...]:
        """List all images below `root`, sorted by path.

        Raises SplitsError if a class has too few good images, and DataMissing for missing files.
        """
        images = list(_of_list(root / self.listing, root) if self.listing else self._of_folders(root))
        for category in sorted({image.category for image in images}):
            own = [image for image in images if image.category == category]
            if not any(image.part == "train" and not image.defect for image in own):
                raise SplitsError(
                    f"class '{category}' of '{root}' has no good image to train on: correct '{FILE_NAME}'"
                )
            if not any(image.part == "test" and not image.defect for image in own):
                images = self._held_out(images, category)
        if not images:
            raise SplitsError(f"'{FILE_NAME}' names no image in '{root}': correct it")
        return tuple(sorted(images, key=lambda image: image.path))

    def _held_out(self, images: list[LabelledImage], category: str) -> list[LabelledImage]:
        """Move a share of a class's good images to the test part."""
        good = [image for image in images if image.category == category and not image.defect]
        # In the order of hashed paths, since file numbers often follow the time of recording.
        chosen = sorted(good, key=lambda image: image.key)[: max(1, round(self.hold_out * len(good)))]
        if len(chosen) == len(good):
            raise SplitsError(f"class '{category}' has {len(good)} good image: expected two or more")
        paths = {image.path for image in chosen}
        return [replace(image, part="test") if image.path in paths else image for image in images]

    def _of_folders(self, root: Path) -> Iterator[LabelledImage]:
        """Yield the images of all folders."""
        for category, own in self.classes.items():
            for part, folders in (("train", own.good), ("test", own.test_good)):
                for folder in folders:
                    for name in _names(root, folder):
                        yield LabelledImage(_path(folder, name), category, _part(part))
            for defect, kind in own.defects.items():
                names = _names(root, kind.images)
                masks = mask_names(root / kind.masks, self.mask_ending) if kind.masks else {}
                require_own_masks(root / kind.images, names, masks)
                for name in names:
                    mask = masks.get(stem_of(name), "")
                    path = _path(kind.images, name)
                    yield LabelledImage(path, category, "test", defect, mask and _path(kind.masks, mask))


def read_description(file: Path) -> Description:
    """Read a `dataset.toml`. Raises SplitsError, naming the file and its error."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        known = {one.name: type(getattr(Description(), one.name)) for one in fields(Description)}
        for name, value in content.items():
            if name not in known:
                raise ValueError(f"it has '{name}', expected some of {', '.join(known)}")
            if type(value) is not known[name] and not (known[name] is float and type(value) is int):
                raise ValueError(f"'{name}' is {value!r}, expected {_KINDS[known[name]]}")
        if not 0 <= content.get("hold_out", 0) < 1 or not 0 < content.get("white", WHITE) <= WHITE:
            raise ValueError(f"expected 'hold_out' from 0 to below 1 and 'white' from 1 to {WHITE}")
        classes = {name: _class(value) for name, value in content.get("classes", {}).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SplitsError(f"cannot read '{file}': {error}; correct it or delete it") from error
    return Description(**{**content, "classes": classes})


def _class(content: Mapping[str, Any]) -> ClassFolders:
    """Parse the table of a class."""
    defects = {name: DefectFolder(**value) for name, value in content.get("defects", {}).items()}
    return ClassFolders(**{**content, "defects": defects})


def _names(root: Path, folder: str) -> list[str]:
    """Names of the images in a folder; raises DataMissing."""
    if not (root / folder).is_dir():
        raise DataMissing(f"folder '{root / folder}' does not exist: correct '{FILE_NAME}'")
    return image_names(root / folder)


def _path(folder: str, name: str) -> str:
    """Path of a file in a folder, relative to the root."""
    return PurePosixPath(folder, name).as_posix()


def _part(text: str) -> Part:
    """Parse the name of a part; all but training is test."""
    return "train" if text.strip().casefold() in ("train", "training") else "test"


def read_rows(file: Path) -> list[dict[str, str]]:
    """Read the rows of a labelled CSV list, with `COLUMNS` as names. Raises SplitsError naming the file."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.DictReader(lines)
            header = {name.strip().casefold(): name for name in table.fieldnames or ()}
            names = {
                column: next((header[alias] for alias in aliases if alias in header), "")
                for column, aliases in COLUMNS.items()
            }
            rows = [
                {column: (row.get(name) or "").strip() for column, name in names.items()} for row in table
            ]
    except (OSError, ValueError, csv.Error) as error:
        raise SplitsError(f"cannot read the list '{file}': {error}") from error
    if not names["path"] or not names["label"]:
        raise SplitsError(
            f"the list '{file}' has the columns {', '.join(header) or 'none'}: expected 'path' and 'label', "
            "and if known 'mask', 'category' and 'split'"
        )
    return rows


def is_list(file: Path) -> bool:
    """Check whether a CSV file has the columns of a labelled list."""
    try:
        read_rows(file)
    except SplitsError:
        return False
    return True


def _of_list(file: Path, root: Path) -> Iterator[LabelledImage]:
    """Yield the images of a labelled CSV list."""
    for number, row in enumerate(read_rows(file), start=2):
        for path in filter(None, (row["path"], row["mask"])):
            if not (root / path).is_file():
                raise DataMissing(f"line {number} of '{file}' names '{path}', which is not in '{root}'")
        is_good = row["label"].casefold() in GOOD_LABELS
        defect = "" if is_good else ("defect" if row["label"] == "1" else row["label"])
        part = _part(row["split"] or ("train" if is_good else "test"))
        if part == "train" and defect:
            raise SplitsError(
                f"line {number} of '{file}' puts the defect '{row['path']}' into training: give it the split "
                "'test' (a split such as 'clean+noise10' injects defects)"
            )
        category = row["category"] or root.name
        yield LabelledImage(row["path"], category, part, defect, row["mask"] if defect else "")
