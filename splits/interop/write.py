"""Export of splits in the formats of other tools, with the same bytes on every machine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from ltbench.registry import UnknownName
from ltbench.splits.datasets import Dataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import UNKNOWN, LabelledImage
from ltbench.splits.interop.text import write_whole
from ltbench.splits.split import Split

Files = dict[str, bytes]
"""Contents of files by name."""


def copied_name(image: LabelledImage) -> str:
    """Path that TailedCore copies an injected defect to: "bottle/train/good/broken_large_000.png"."""
    path = PurePosixPath(image.path)
    return f"{image.category}/train/good/{path.parent.name}_{path.name}"


def by_path(images: Iterable[LabelledImage]) -> list[LabelledImage]:
    """Sort images by path."""
    return sorted(images, key=lambda image: image.path)


def manifest(split: Split, dataset: Dataset) -> Files:  # noqa: ARG001  every writer takes both
    """Write ltbench's manifest, the sha256 of whose body is the split's digest."""
    return {"manifest.txt": split.manifest()}


def tailedcore(split: Split, dataset: Dataset) -> Files:
    """Write prune_good.txt and inject_defects.txt, sorted by code point without a final newline, as released.

    Raises SplitsError for a split with other images than good training images and injected test defects.
    """
    trained = {image.path for image in split.train}
    goods = [image for image in dataset.images() if image.part == "train" and not image.is_defective]
    alien = trained - {image.path for image in goods} - {image.path for image in split.injected}
    if alien or any(image.part == "train" for image in split.injected):
        raise SplitsError(
            f"split '{split.id}' cannot be written as a TailedCore manifest, which knows "
            "only training goods and injected test defects: choose another format"
        )
    pruned = sorted(image.path for image in goods if image.path not in trained)
    injected = sorted(copied_name(image) for image in split.injected)
    return {
        "prune_good.txt": "\n".join(pruned).encode(),
        "inject_defects.txt": "\n".join(injected).encode(),
    }


def _table(header: list[str], rows: Iterable[list[str]]) -> bytes:
    """Encode a CSV table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def meds(split: Split, dataset: Dataset) -> Files:
    """Write one CSV of training paths and classes, with injected defects under their test paths."""
    column = "class" if dataset.name == "visa" else "clsname"
    rows = [[image.path, image.category] for image in by_path(split.train)]
    return {"train.csv": _table(["filename", column], rows)}


def table(split: Split, dataset: Dataset) -> Files:  # noqa: ARG001
    """Write one CSV with all facts about each image."""
    rows = [
        [image.path, image.category, part, _label(image), image.defect, image.mask]
        for part, images in (("train", split.train), ("test", split.test))
        for image in by_path(images)
    ]
    return {"split.csv": _table(["path", "class", "split", "label", "defect", "mask"], rows)}


def _label(image: LabelledImage) -> str:
    """Label of an image in a list: "1" = defective, "0" = good, "" = unknown."""
    return "" if image.defect == UNKNOWN else str(int(image.is_defective))


def paths(split: Split, dataset: Dataset) -> Files:  # noqa: ARG001
    """Write train.txt and test.txt with one path per line."""
    return {
        f"{part}.txt": "".join(f"{image.path}\n" for image in by_path(images)).encode()
        for part, images in (("train", split.train), ("test", split.test))
    }


def json_lines(split: Split, dataset: Dataset) -> Files:  # noqa: ARG001
    """Write train.json and test.json as UniAD reads them: one object per line, with true labels."""

    def line(image: LabelledImage) -> str:
        entry: dict[str, object] = {"filename": image.path}
        if image.defect != UNKNOWN:
            entry["label"] = int(image.is_defective)
            entry["label_name"] = image.defect or "good"
        entry["clsname"] = image.category
        if image.mask:
            entry["maskname"] = image.mask
        return json.dumps(entry) + "\n"

    return {
        f"{part}.json": "".join(line(image) for image in by_path(images)).encode()
        for part, images in (("train", split.train), ("test", split.test))
    }


FORMATS: dict[str, Callable[[Split, Dataset], Files]] = {
    "manifest": manifest,
    "tailedcore": tailedcore,
    "meds": meds,
    "csv": table,
    "paths": paths,
    "json": json_lines,
}
"""Writers by format; `ltbench.splits.interop.zenodo` writes an archive of several splits."""


def export_split(split: Split, dataset: Dataset, kind: str, folder: Path) -> list[Path]:
    """Write the files of a split.

    Args:
        split: Split to export.
        dataset: Data set of the split.
        kind: Format, see `FORMATS`.
        folder: Folder to write into.

    Returns:
        Paths of the files.

    Raises:
        UnknownName: For an unknown format.
        SplitsError: If the format cannot represent the split, or the folder is not writable.
    """
    if kind not in FORMATS:
        raise UnknownName("format", kind, [*FORMATS, "zenodo"])
    files = FORMATS[kind](split, dataset)
    for name, content in files.items():
        write_whole(folder / name, content)
    return [folder / name for name in files]
