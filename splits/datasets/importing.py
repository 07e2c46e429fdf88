"""Guess the layout of a folder of images and write it as a `dataset.toml`, to be corrected by the user."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from ltbench.splits.datasets.decoding import mask_levels
from ltbench.splits.datasets.described import ClassFolders, DefectFolder, Description, is_list, read_rows
from ltbench.splits.datasets.folder import listed, root_of
from ltbench.splits.datasets.layout import (
    MASK_ENDING,
    MEANT_AS_GOOD,
    class_names,
    image_names,
    is_class_folder,
    mask_names,
    stem_of,
    subfolders,
)
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.images import LabelledImage

_MASKS = frozenset(
    {"annotation", "annotations", "ground_truth", "groundtruth", "gt", "label", "labels", "mask", "masks"}
)
_DEFECTIVE = frozenset(
    {"abnormal", "anomalous", "anomaly", "bad", "defect", "defective", "defects", "fail", "ng", "nok"}
)
_PARTS = frozenset({"train", "test", "val", "validation"})
_NAMELESS = frozenset({"image", "images", "img", "imgs", *_PARTS})
"""Names of folders that do not name a defect."""
_MASK_ENDINGS = ("_mask", "_gt", "_label")
_LOOKED_AT, _FEW_LEVELS, _HALF = 8, 4, 127
"""Number of masks to sample, largest number of values of a hard mask, and threshold for soft masks."""
_INVERTED = 0.5
"""Masks whose median marked share is larger are taken as inverted."""


def describe(source: Path) -> tuple[Path, Description]:
    """Guess the layout of a folder of images, or of a labelled CSV list.

    Returns:
        The folder that the paths are relative to, and the description.

    Raises:
        DataMissing: If `source` does not exist.
        SplitsError: If good images cannot be recognised, or a mask cannot be read.
    """
    if source.is_file():
        read_rows(source)
        return source.parent, _with_masks(source.parent, Description(source.parent.name, listing=source.name))
    if not source.is_dir():
        raise DataMissing(f"'{source}' does not exist: expected a folder of images or a CSV list of them")
    ending = _ending_of(source)
    usual = Description(source.name, mask_ending=ending)
    if is_class_folder(source) or class_names(source):
        try:
            return source, _with_masks(source, usual)
        except SplitsError:
            # Almost MVTec AD's layout, but a class lacks train/good or test images.
            pass
    lists = [file for file in sorted(source.glob("*.csv")) if is_list(file)]
    if lists:
        return describe(lists[0])
    described = {name: _class(source, roles, ending) for name, roles in _classes(source)}
    return source, _with_masks(source, replace(usual, classes=described))


def toml(description: Description) -> str:
    """Format a `dataset.toml`, without settings that are at their default and rarely wrong."""
    lines = [
        "# What ltbench understood of these images; correct what is wrong. Paths are relative to the root.",
        f"title = {_text(description.title)}",
        f"licence = {_text(description.licence)}",
        "# May reports show the images?",
        f"gallery_allowed = {_text(description.gallery_allowed)}",
        '# A mask is called as its image, with this ending, with "_mask" or without.',
        f"mask_ending = {_text(description.mask_ending)}",
    ]
    usual = Description()
    for name in ("root", "white", "mask_above", "inverted_masks", "listing"):
        if getattr(description, name) != getattr(usual, name):
            lines.append(f"{name} = {_text(getattr(description, name))}")
    if description.has_layout:
        lines.append("# Share of a class' good images that are tested, where none are there for it.")
        lines.append(f"hold_out = {description.hold_out}")
    for name, own in description.classes.items():
        lines += ["", f"[classes.{_text(name)}]", f"good = {_text(list(own.good))}"]
        lines.append(f"test_good = {_text(list(own.test_good))}")
        for defect, kind in own.defects.items():
            lines.append(f"[classes.{_text(name)}.defects.{_text(defect)}]")
            lines += [f"images = {_text(kind.images)}", f"masks = {_text(kind.masks)}"]
    return "\n".join(lines) + "\n"


def counts(images: Iterable[LabelledImage]) -> Iterator[tuple[str, int, int, int, int, str]]:
    """Yield per class: category, good training images, good test images, defects, masks, names of defects."""
    images = list(images)
    for category in sorted({image.category for image in images}):
        own = [image for image in images if image.category == category]
        good = Counter(image.part for image in own if not image.defect)
        bad = [image for image in own if image.defect]
        kinds = ", ".join(sorted({image.defect for image in bad}))
        yield category, good["train"], good["test"], len(bad), sum(bool(i.mask) for i in bad), kinds


def _text(value: object) -> str:
    """Format a value as TOML."""
    # JSON texts, numbers, Booleans and lists are valid TOML.
    return json.dumps(value, ensure_ascii=False)


def _classes(source: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each class with the roles of its image folders, by path relative to `source`."""
    found = list(_image_folders(source))
    tops = {PurePosixPath(folder).parts[0] for folder in found if folder != "."}
    is_one = "." in found or any(_word(top) in MEANT_AS_GOOD | _MASKS | _DEFECTIVE | _PARTS for top in tops)
    if is_one:
        yield source.name, {folder: _role(PurePosixPath(folder).parts) for folder in found}
        return
    for top in sorted(tops):
        parts = {folder: PurePosixPath(folder).parts for folder in found}
        yield top, {folder: _role(names[1:]) for folder, names in parts.items() if names[0] == top}


def _image_folders(source: Path, below: str = ".") -> Iterator[str]:
    """Yield all folders that contain images, relative to `source`."""
    if image_names(source / below):
        yield below
    for name in subfolders(source / below):
        yield from _image_folders(source, name if below == "." else f"{below}/{name}")


def _class(source: Path, roles: Mapping[str, str], ending: str) -> ClassFolders:
    """Build the description of a class from the roles of its folders."""
    good, test_good, defective, masks = (
        [folder for folder, role in roles.items() if role == wanted]
        for wanted in ("good", "test good", "defect", "mask")
    )
    if not good:
        raise SplitsError(
            f"nothing tells which images in '{source}' are good ({', '.join(roles)}): expected a folder "
            f"called one of {', '.join(sorted(MEANT_AS_GOOD))}"
        )
    for folder in (*good, *test_good, *defective):
        _require_no_masks(source / folder)
    defects: dict[str, DefectFolder] = {}
    for folder in defective:
        name = next((part for part in PurePosixPath(folder).parts[::-1] if _word(part) not in _NAMELESS), "")
        name = name if name and name not in defects else folder.replace("/", " ")
        defects[name] = DefectFolder(folder, _masks_of(source, folder, masks, ending))
    return ClassFolders(tuple(good), tuple(test_good), defects)


def _require_no_masks(folder: Path) -> None:
    """Raise SplitsError if a folder contains both images and their masks."""
    names = {stem_of(name): name for name in image_names(folder)}
    for stem, name in names.items():
        for end in _MASK_ENDINGS:
            if stem.casefold().endswith(end) and stem[: -len(end)] in names:
                raise SplitsError(
                    f"'{folder}' has images and masks side by side ('{names[stem[: -len(end)]]}', '{name}'): "
                    "expected the masks in a folder of their own, or a CSV list with the columns path, label "
                    "and mask"
                )


def _role(parts: Sequence[str]) -> str:
    """Guess the role of an image folder from the parts of its path below the class."""
    words = [_word(part) for part in parts]
    if any(word in _MASKS for word in words):
        return "mask"
    is_tested = any(word in _PARTS - {"train"} or "test" in word for word in words)
    if any(word.removesuffix("_test").removesuffix("_train") in MEANT_AS_GOOD for word in words):
        return "test good" if is_tested else "good"
    return "good" if not words or words[-1] == "train" else "defect"


def _masks_of(source: Path, images: str, folders: Sequence[str], ending: str) -> str:
    """Choose the folder with masks of the most images, on ties the one of the same name; "" if none."""
    stems = {stem_of(name) for name in image_names(source / images)}
    last = PurePosixPath(images).name
    found = [
        (len(stems & set(mask_names(source / folder, ending))), PurePosixPath(folder).name == last, folder)
        for folder in folders
    ]
    count, _, best = max(found, default=(0, False, ""))
    return best if count else ""


def _ending_of(source: Path) -> str:
    """Guess the most frequent suffix of mask names after the image's name; "_mask" without masks."""
    folders = list(_image_folders(source))
    masks = [folder for folder in folders if _role(PurePosixPath(folder).parts) == "mask"]
    others = [folder for folder in folders if folder not in masks]
    images = {stem_of(name) for folder in others for name in image_names(source / folder)}
    endings = Counter(
        ending
        for folder in masks
        for name in image_names(source / folder)
        for ending in [_after_an_image(stem_of(name), images)]
        if ending is not None
    )
    return endings.most_common(1)[0][0] if endings else MASK_ENDING


def _after_an_image(stem: str, images: set[str]) -> str | None:
    """Rest of a mask's name after the longest matching name of an image; None if none matches."""
    ends = (stem[length:] for length in range(len(stem), 0, -1) if stem[:length] in images)
    return next(ends, None)


def _with_masks(root: Path, description: Description) -> Description:
    """Add to a description whether masks are inverted or soft, judged by a sample of them."""
    images = listed(root, description)
    files = [root_of(root, description) / image.mask for image in images if image.mask]
    step = max(1, len(files) // _LOOKED_AT)
    looked_at = [mask_levels(file, description.reading) for file in files[::step]]
    if not looked_at:
        return description
    is_grey = any(len(np.unique(levels)) > _FEW_LEVELS and levels.max() > _HALF for levels in looked_at)
    above = _HALF if is_grey else 0
    marked = float(np.median([(levels > above).mean() for levels in looked_at]))
    return replace(description, inverted_masks=marked > _INVERTED, mask_above=above)


def _word(name: str) -> str:
    """Normalise a folder name for comparison."""
    return name.casefold().replace("-", "_").replace(" ", "_")
