"""The folder layout of MVTec AD, which most inspection data sets follow.

`<class>/{train,test}/<good or defect>/<file>` and, where known, the masks
`<class>/ground_truth/<defect>/<stem>_mask.png` or `<stem>.png`.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage, Part

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".pbm", ".pgm", ".ppm",
    ".pnm",
)  # fmt: skip
PARTS: tuple[Part, ...] = ("train", "test")
GOOD = "good"
MASK_ENDING = "_mask"
MEANT_AS_GOOD = frozenset({"good", "goods", "ok", "normal", "pass"})
"""Usual names of the folder of good images, in any case of letters."""


def image_names(folder: Path) -> list[str]:
    """Names of the image files in `folder`, by code point (never the file system's order); none if absent.

    Raises SplitsError for a link that leads nowhere and for a name that cannot be written into a list.
    """
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(IMAGE_SUFFIXES)
            and not entry.name.startswith(".")
            and _is_file(entry)
        )


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        found = entry.is_file()
    except OSError as error:
        raise SplitsError(
            f"image '{entry.path}' cannot be reached ({error.strerror}): mend or remove it"
        ) from error
    if not found and entry.is_symlink() and not entry.is_dir():
        raise SplitsError(f"image '{entry.path}' is a link to nothing: mend or remove it")
    _require_writable_name(entry)
    return found


def _require_writable_name(entry: os.DirEntry[str]) -> None:
    # Bytes that are no UTF-8 are kept by Python as halves of surrogate pairs.
    if any(ord(c) < ord(" ") or "\ud800" <= c <= "\udfff" for c in entry.name):
        raise SplitsError(
            f"{entry.path!a} has a name that cannot stand in a list (no UTF-8 text, or control "
            "characters): rename it"
        )


def subfolders(folder: Path) -> list[str]:
    """Names of the visible folders in `folder`, by code point; none if absent."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    for entry in found:
        _require_writable_name(entry)
    return sorted(entry.name for entry in found)


def is_class_folder(folder: Path) -> bool:
    return (folder / "train" / "good").is_dir()


def class_names(root: Path) -> list[str]:
    """Folders of `root` that hold `train/good`."""
    return [name for name in subfolders(root) if is_class_folder(root / name)]


def stem_of(name: str) -> str:
    """The name of an image or mask without its suffix; letters with accents in one form (Unicode NFC)."""
    return unicodedata.normalize("NFC", Path(name).stem)


def mask_names(folder: Path, ending: str = MASK_ENDING) -> dict[str, str]:
    """Stem of the image -> name of its mask file; "000_mask.png" and "000.png" both belong to "000".

    So does "000_gt.png" where `ending` is "_gt".
    """
    found = {stem_of(name): name for name in reversed(image_names(folder))}
    for stem, name in list(found.items()):
        for end in {MASK_ENDING, ending} - {""}:
            if stem.endswith(end):
                found[stem.removesuffix(end)] = name
    return found


def require_own_masks(folder: Path, names: Iterable[str], masks: Mapping[str, str]) -> None:
    """Raise SplitsError where two images of a folder would share one mask."""
    seen: dict[str, str] = {}
    for name in names:
        stem = stem_of(name)
        if stem in masks and stem in seen:
            raise SplitsError(
                f"images '{seen[stem]}' and '{name}' in '{folder}' would share the mask '{masks[stem]}': "
                "rename one of them and give it a mask of its own"
            )
        seen[stem] = name


def scan_class(root: Path, category: str, mask_ending: str = MASK_ENDING) -> list[LabelledImage]:
    """All images of one class, by path. Raises SplitsError if it has no good training or no test image."""
    images: list[LabelledImage] = []
    for part in PARTS:
        for defect in subfolders(root / category / part):
            good = defect == GOOD
            if not good and defect.casefold() in MEANT_AS_GOOD:
                raise SplitsError(
                    f"folder '{root / category / part / defect}' would count as a kind of defect: good "
                    f"images belong into '{part}/{GOOD}'; rename it"
                )
            folder = root / category / part / defect
            names = image_names(folder)
            masks = {} if good else mask_names(root / category / "ground_truth" / defect, mask_ending)
            require_own_masks(folder, names, masks)
            for name in names:
                mask = masks.get(stem_of(name), "")
                images.append(
                    LabelledImage(
                        path=f"{category}/{part}/{defect}/{name}",
                        category=category,
                        part=part,
                        defect="" if good else defect,
                        mask=f"{category}/ground_truth/{defect}/{mask}" if mask else "",
                    )
                )
    if not any(image.part == "train" and not image.is_defective for image in images):
        raise SplitsError(
            f"class '{category}' is empty: expected good images in '{root / category / 'train' / 'good'}'"
            f"{_not_read(root / category / 'train' / 'good')}; add them or move the class' folder away"
        )
    if not any(image.part == "test" for image in images):
        raise SplitsError(
            f"class '{category}' has no test image: expected some under '{root / category / 'test'}'"
            f"{_not_read(root / category / 'test')}; add them or move the class' folder away"
        )
    return sorted(images, key=lambda image: image.path)


def _has_images(folder: Path) -> bool:
    return any(image_names(place) for place in (folder, *(folder / name for name in subfolders(folder))))


def _not_read(folder: Path) -> str:
    """Other files in a folder without images, as the end of a sentence."""
    suffixes = Counter(
        file.suffix.lower() for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")
    )
    others = ", ".join(f"{count} '{suffix}'" for suffix, count in sorted(suffixes.items()))
    return f" ({others} there; images are {', '.join(IMAGE_SUFFIXES)})" if others else ""


def scan(root: Path, mask_ending: str = MASK_ENDING) -> tuple[LabelledImage, ...]:
    """All images of all classes in `root`, by class and path. Raises SplitsError where there is no class."""
    found = class_names(root)
    for name in subfolders(root):
        likely = [part for part in subfolders(root / name / "train") if part.casefold() in MEANT_AS_GOOD]
        if name not in found and likely:
            raise SplitsError(
                f"class '{name}' has '{likely[0]}' where '{GOOD}' is expected: rename "
                f"'{root / name / 'train' / likely[0]}' to '{GOOD}'"
            )
        if name not in found and any(_has_images(root / name / part) for part in PARTS):
            raise SplitsError(
                f"class '{name}' has images but no 'train/{GOOD}': put its good training images into "
                f"'{root / name / 'train' / GOOD}', or move the folder '{name}' away"
            )
    if not found:
        raise SplitsError(
            f"folder '{root}' holds no class: expected '<class>/train/good' and '<class>/test/<defect>' "
            f"in it, as MVTec AD has; 'ltbench data import {root}' understands other layouts"
        )
    return tuple(image for category in found for image in scan_class(root, category, mask_ending))
