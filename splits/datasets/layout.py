"""The folder layout of MVTec AD, which most inspection data sets follow.

`<class>/{train,test}/<good or defect>/<file>` and, where known, the masks
`<class>/ground_truth/<defect>/<stem>_mask.png` or `<stem>.png`.
"""

from __future__ import annotations

import os
from pathlib import Path

from splits.errors import SplitsError
from splits.images import LabelledImage, Part

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
PARTS: tuple[Part, ...] = ("train", "test")


def image_names(folder: Path) -> list[str]:
    """Names of the image files in `folder`, by code point (never the file system's order); none if absent."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(IMAGE_SUFFIXES)
            and not entry.name.startswith(".")
            and entry.is_file()
        )


def subfolders(folder: Path) -> list[str]:
    """Names of the visible folders in `folder`, by code point; none if absent."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def is_class_folder(folder: Path) -> bool:
    return (folder / "train" / "good").is_dir()


def class_names(root: Path) -> list[str]:
    """Folders of `root` that hold `train/good`."""
    return [name for name in subfolders(root) if is_class_folder(root / name)]


def mask_names(folder: Path) -> dict[str, str]:
    """Stem of the image -> name of its mask file; "000_mask.png" and "000.png" both belong to "000"."""
    found: dict[str, str] = {}
    for name in image_names(folder):
        stem = Path(name).stem
        found.setdefault(stem, name)
    for stem, name in list(found.items()):
        if stem.endswith("_mask"):
            found[stem.removesuffix("_mask")] = name
    return found


def scan_class(root: Path, category: str) -> list[LabelledImage]:
    """All images of one class, by path. Raises SplitsError if it has no good training or no test image."""
    images: list[LabelledImage] = []
    for part in PARTS:
        for defect in subfolders(root / category / part):
            good = defect == "good"
            masks = {} if good else mask_names(root / category / "ground_truth" / defect)
            for name in image_names(root / category / part / defect):
                mask = masks.get(Path(name).stem, "")
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
            f"class '{category}' is empty: expected good images in '{root / category / 'train' / 'good'}'; "
            "add them or move the class' folder away"
        )
    if not any(image.part == "test" for image in images):
        raise SplitsError(
            f"class '{category}' has no test image: expected some under '{root / category / 'test'}'; "
            "add them or move the class' folder away"
        )
    return sorted(images, key=lambda image: image.path)


def scan(root: Path) -> tuple[LabelledImage, ...]:
    """All images of all classes in `root`, by class and path. Raises SplitsError where there is no class."""
    found = class_names(root)
    if not found:
        raise SplitsError(
            f"folder '{root}' holds no class: expected '<class>/train/good' and '<class>/test/<defect>' "
            "in it, as MVTec AD has"
        )
    return tuple(image for category in found for image in scan_class(root, category))
