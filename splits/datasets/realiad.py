"""Real-IAD: 30 classes in five views (Wang et al., CVPR 2024), read from its own JSON lists.

The lists are not part of this project; they come with the data set, on request to its authors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltbench.splits.datasets.facts import Facts
from ltbench.splits.datasets.files import FileDataset, find_root, only_classes
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.images import LabelledImage, Part

FACTS = Facts(
    name="realiad",
    title="Real-IAD",
    licence="CC BY-NC-SA 4.0, on request",
    citation="""@inproceedings{wang2024realiad,
  title = {{Real-IAD}: A Real-World Multi-View Dataset for Benchmarking Versatile Industrial
           Anomaly Detection},
  author = {Wang, Chengjie and Zhu, Wenbing and Gao, Bin-Bin and Gan, Zhenye and Zhang, Jiangning and
            Gu, Zhihao and Qian, Shuguang and Chen, Mingang and Ma, Lizhuang},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2024}
}""",
    address="https://realiad4ad.github.io/Real-IAD/",
    size="tens of GB at 1024 pixels",
    default_contamination=0.10,
    folders=("realiad", "Real-IAD", "RealIAD", "real_iad", "real-iad"),
    example="realiad_jsons/audiojack.json",
    instructions="ask its authors for access as its page says, download 'realiad_1024' and 'realiad_jsons'",
)

LISTS = {"": "realiad_jsons", "sv": "realiad_jsons_sv"}
"""Folder of lists by argument: all five views, or the single-view subset `realiad:sv`."""
_RESOLUTIONS = ("realiad_1024", "realiad_512", "realiad_256", "realiad_raw")


def _is_root(place: Path) -> bool:
    """Check for any of the folders of lists."""
    return any((place / folder).is_dir() for folder in LISTS.values())


def _has_images(root: Path) -> bool:
    """Check for any folder of images."""
    return any((root / name).is_dir() for name in _RESOLUTIONS)


def _locate(root: Path, path: str) -> Path:
    """File of a path in the first available copy of the order of `_RESOLUTIONS`."""
    copies = (root / name / path for name in _RESOLUTIONS)
    return next((file for file in copies if file.is_file()), root / path)


def _is_good(entry: Mapping[str, Any], normal_class: str) -> bool:
    """Whether an image is good by the authors' rule: it has no mask, or belongs to the normal class."""
    return entry.get("mask_path") in (None, "") or entry["anomaly_class"] == normal_class


def _entries(document: Any) -> Iterator[tuple[Part, LabelledImage]]:
    """Yield the images of a class' JSON document with their parts."""
    meta = document["meta"]
    prefix, normal_class = meta["prefix"], meta["normal_class"]
    parts: tuple[Part, ...] = ("train", "test")
    for part in parts:
        for entry in document[part]:
            good = _is_good(entry, normal_class)
            yield (
                part,
                LabelledImage(
                    path=prefix + entry["image_path"],
                    category=entry.get("category") or prefix.rstrip("/"),
                    part=part,
                    defect="" if good else entry["anomaly_class"],
                    mask="" if good else prefix + entry["mask_path"],
                ),
            )


def read_list(file: Path) -> list[tuple[Part, LabelledImage]]:
    """Read the images of a class' JSON file with their parts. Raises SplitsError naming the file."""
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
        return list(_entries(document))
    except json.JSONDecodeError as error:
        raise SplitsError(
            f"list '{file}' is not complete JSON (line {error.lineno}): get an intact copy of it"
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise SplitsError(
            f"list '{file}' lacks {error}: expected 'meta', 'train' and 'test' as Real-IAD's lists have them"
        ) from error


def read_lists(folder: Path) -> list[tuple[Part, LabelledImage]]:
    """Read the lists of all classes in a folder, by file name. Raises DataMissing if there is none."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise DataMissing(
            f"folder '{folder}' holds no JSON list: ask for Real-IAD at {FACTS.address} "
            "and unpack its lists there"
        )
    return [entry for file in files for entry in read_list(file)]


class RealIadDataset(FileDataset):
    """Real-IAD, whose file names contain the number of the camera."""

    def camera(self, image: LabelledImage) -> int:
        """Camera of an image, 1 to 5, from "..._C3_..." in its file name. Raises SplitsError without it."""
        match = re.search(r"_C(\d)[_.]", image.path.rpartition("/")[2])
        if match is None:
            raise SplitsError(
                f"the name of image '{image.path}' does not say which camera took it: expected '_C1_' to "
                "'_C5_' in it"
            )
        return int(match[1])


def open_dataset(data_root: Path, argument: str = "") -> RealIadDataset:
    """Open Real-IAD with its lists and images in `data_root/realiad`.

    The argument selects the single-view subset or classes: "sv", "audiojack+switch", "sv+mint".
    """
    words = [word for word in argument.split("+") if word]
    kind = "sv" if "sv" in words else ""
    root, advised = find_root(data_root, FACTS, _is_root)

    def listing() -> tuple[LabelledImage, ...]:
        if root is None:
            raise DataMissing(dataset.missing_sentence())
        images = [image for _, image in read_lists(root / LISTS[kind])]
        return tuple(sorted(images, key=lambda image: image.path))

    facts, cut = only_classes(FACTS, listing, "+".join(word for word in words if word != "sv"))
    if kind:
        facts = replace(facts, name=":".join(["realiad", "+".join(["sv", *facts.name.split(":")[1:]])]))
    dataset = RealIadDataset(facts, cut, root, advised, locate=_locate, has_images=_has_images)
    return dataset
