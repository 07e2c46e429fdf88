"""DAGM 2007: 10 textures, 16100 images (Wieler, Hahn, Hamprecht), original or Kaggle layout."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path, PurePosixPath

from ltbench.splits import inventories
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.datasets.files import FileDataset, find_root, only_classes
from ltbench.splits.datasets.layout import image_names
from ltbench.splits.images import LabelledImage

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
    shareable=True,
)


def _class_folder(root: Path, category: str) -> Path:
    """`root/Class1`, or `root/Class1/Class1` where an archive was unpacked into a folder of its own name."""
    nested = root / category / category
    return nested if nested.is_dir() else root / category


def _is_root(place: Path) -> bool:
    return any((_class_folder(place, f"Class{index}") / "Train").is_dir() for index in range(1, 11))


def _locate(root: Path, path: str) -> Path:
    category, *rest = PurePosixPath(path).parts
    file = _class_folder(root, category).joinpath(*rest)
    if not file.is_file():
        lower = file.with_suffix(".png")
        return lower if lower.is_file() else file
    return file


def labelled_numbers(folder: Path) -> set[int] | None:
    """Numbers of the images with a mask in a Label folder; None where the folder is absent."""
    if not folder.is_dir():
        return None
    found = (re.fullmatch(r"(\d+)_label\.png", name, re.IGNORECASE) for name in image_names(folder))
    return {int(match[1]) for match in found if match}


def open_dataset(data_root: Path, argument: str = "") -> FileDataset:
    """DAGM, its images in `data_root/dagm`; without them the labels of the test images are unknown."""
    root, advised = find_root(data_root, FACTS, _is_root)

    @cache
    def tested_defects(category: str) -> set[int] | None:
        return None if root is None else labelled_numbers(_class_folder(root, category) / "Test" / "Label")

    def listing() -> tuple[LabelledImage, ...]:
        return inventories.dagm(tested_defects)

    facts, cut = only_classes(FACTS, listing, argument)
    return FileDataset(facts, cut, root, advised, locate=_locate)
