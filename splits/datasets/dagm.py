"""DAGM 2007: 10 textures, 16100 images (Wieler, Hahn, Hamprecht), original or Kaggle layout."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath

from ltbench.splits import inventories
from ltbench.splits.datasets.facts import Archive, Facts
from ltbench.splits.datasets.files import FileDataset, find_root, only_classes
from ltbench.splits.datasets.layout import image_names
from ltbench.splits.images import UNKNOWN, LabelledImage, Part

FACTS = Facts(
    name="dagm",
    title="DAGM 2007",
    licence="CC BY 4.0",
    citation="""@misc{wieler2007dagm,
  title = {Weakly Supervised Learning for Industrial Optical Inspection},
  author = {Wieler, Matthias and Hahn, Tobias and Hamprecht, Fred A.},
  year = {2007},
  doi = {10.5281/zenodo.8086136}
}""",
    address="https://zenodo.org/records/8086136",
    size="about 3 GB",
    default_contamination=0.10,
    gallery_allowed=True,
    folders=(
        "dagm",
        "dagm/DAGM_KaggleUpload",
        "DAGM",
        "DAGM/DAGM_KaggleUpload",
        "DAGM2007",
        "DAGM2007/DAGM_KaggleUpload",
        "DAGM_KaggleUpload",
    ),
    example="Class1/Train/0576.PNG",
    # The publisher's digests are not known; those of the downloaded files are reported.
    archives=tuple(
        Archive(f"Class{index}.zip", (f"https://zenodo.org/records/8086136/files/Class{index}.zip",))
        for index in range(1, 11)
    ),
    image_count=16100,
)


def _class_folder(root: Path, category: str) -> Path:
    """Folder of a class: `root/Class1`, or `root/Class1/Class1` if unpacked into a folder of that name."""
    nested = root / category / category
    return nested if nested.is_dir() else root / category


def _is_root(place: Path) -> bool:
    """Check for the training folder of at least one class."""
    return any((_class_folder(place, f"Class{index}") / "Train").is_dir() for index in range(1, 11))


def _locate(root: Path, path: str) -> Path:
    """File of a path in the original or nested layout, with the ending in either case."""
    category, *rest = PurePosixPath(path).parts
    file = _class_folder(root, category).joinpath(*rest)
    if not file.is_file():
        lower = file.with_suffix(".png")
        return lower if lower.is_file() else file
    return file


def labelled_numbers(folder: Path) -> set[int] | None:
    """Numbers of the images with a mask in a Label folder; None without the folder."""
    if not folder.is_dir():
        return None
    matches = (re.fullmatch(r"(\d+)_label\.png", name, re.IGNORECASE) for name in image_names(folder))
    return {int(match[1]) for match in matches if match}


def listing(tested_defects: Callable[[str], set[int] | None]) -> tuple[LabelledImage, ...]:
    """List all 16100 images of DAGM 2007, by class and number, with the names of the original layout.

    Labels of test images are only in the data set's Label folders.

    Args:
        tested_defects: Function from a class to the numbers of its defective test images, or None if its
            folder is missing; labels are then UNKNOWN.
    """
    images: list[LabelledImage] = []
    for row in inventories.table("dagm.csv"):
        category = row["class"]
        labels: dict[Part, set[int] | None] = {
            "train": set(inventories.numbers(row["train_defects"])),
            "test": tested_defects(category),
        }
        for part, defective in labels.items():
            folder = f"{category}/{part.capitalize()}"
            for number in inventories.numbers(row[part]):
                path = f"{folder}/{number:04d}.PNG"
                if defective is None:
                    images.append(LabelledImage(path, category, part, UNKNOWN))
                elif number in defective:
                    mask = f"{folder}/Label/{number:04d}_label.PNG"
                    images.append(LabelledImage(path, category, part, "defect", mask))
                else:
                    images.append(LabelledImage(path, category, part))
    return tuple(images)


def open_dataset(data_root: Path, argument: str = "") -> FileDataset:
    """Open DAGM with its images in `data_root/dagm`; without them, labels of test images are unknown."""
    root, advised = find_root(data_root, FACTS, _is_root)

    @cache
    def tested_defects(category: str) -> set[int] | None:
        return None if root is None else labelled_numbers(_class_folder(root, category) / "Test" / "Label")

    facts, cut = only_classes(FACTS, lambda: listing(tested_defects), argument)
    return FileDataset(facts, cut, root, advised, locate=_locate)
