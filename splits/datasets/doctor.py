"""Examination of a local copy: what is missing, extra or broken, and what to do about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.splits import inventories
from ltbench.splits.datasets.decoding import (
    Header,
    Reading,
    UnsupportedImage,
    largest_of_16_bits,
    marked,
    mask_levels,
    read_header,
    read_pixels,
)
from ltbench.splits.datasets.files import FileDataset
from ltbench.splits.datasets.findings import ADVICE, NOTES, Finding, Kind
from ltbench.splits.datasets.layout import GOOD, IMAGE_SUFFIXES, PARTS, stem_of
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import UNKNOWN, LabelledImage

_DARK = 64
"""An image of 16 bits that is read without any value as high leaves three quarters of the range unused."""
_MOST_MARKED = 2 / 3
"""Share of an image that is hardly a drawn defect."""
_FEW_GREYS, _LEAST_WHITE = 4, 32
"""A mask with so many values, some of them that bright, is lossy or soft; VisA's values are 1, 2, 3 ..."""
_OTHER_SUFFIXES = frozenset(
    {".avif", ".dng", ".cr2", ".exr", ".gif", ".heic", ".heif", ".jp2", ".nef", ".npy", ".raw", ".tga"}
)


@dataclass(frozen=True)
class ClassFiles:
    """Images of one class: those that should be there and those that are."""

    category: str
    expected_train: int
    found_train: int
    expected_test: int
    found_test: int


@dataclass(frozen=True)
class Report:
    """Findings about a local copy, and the numbers of its images."""

    dataset: str
    root: str
    classes: tuple[ClassFiles, ...]
    findings: tuple[Finding, ...]
    pixels_read: bool
    """False: only presence and sizes were checked."""

    @property
    def ok(self) -> bool:
        """True where nothing would make a run fail or a score wrong."""
        return all(finding.kind in NOTES for finding in self.findings)

    @property
    def has_unread(self) -> bool:
        """True where an image or mask is missing or cannot be read."""
        unread = {"missing image", "missing mask", "unreadable", "unsupported", "wrong size"}
        return any(finding.kind in unread for finding in self.findings)

    def counts(self) -> dict[Kind, int]:
        """Findings of each kind that occurs."""
        return dict(Counter(finding.kind for finding in self.findings))

    def advice(self) -> list[str]:
        """One line per kind of finding: how many, which first, what to do."""
        grouped: dict[Kind, list[Finding]] = defaultdict(list)
        for finding in self.findings:
            grouped[finding.kind].append(finding)
        lines = []
        for kind, found in grouped.items():
            first = found[0].path + (f" ({found[0].detail})" if found[0].detail else "")
            rest = f" and {len(found) - 1} more" if len(found) > 1 else ""
            lines.append(f"{kind}: {first}{rest}; {ADVICE[kind]}")
        absent = [row.category for row in self.classes if not row.found_train + row.found_test]
        if absent:
            lines.insert(0, f"whole classes are missing: {', '.join(absent)}")
        return lines


def examine(
    dataset: FileDataset, *, read_all: bool = True, progress: Callable[[int, int], None] | None = None
) -> Report:
    """Compare the files on this disk with the data set's list. Raises DataMissing where there are none.

    `read_all=False` checks presence and sizes alone, in seconds. `progress` is told (done, all) images.
    """
    dataset.require_pixels()
    images = dataset.images()
    findings: list[Finding] = []
    present: set[str] = set()
    for done, image in enumerate(images):
        if progress is not None:
            progress(done, len(images))
        if not dataset.file(image.path).is_file():
            findings.append(Finding("missing image", image.path, image.category))
            continue
        present.add(image.path)
        findings += _of_image(dataset, image, read_all)
    findings += _stray_files(dataset, images)
    findings += _without(images)
    findings += _label_counts(images) if dataset.name == "dagm" else []
    if read_all:
        broken = {finding.path for finding in findings if finding.kind in ("unreadable", "unsupported")}
        findings += _leaks(dataset, [i for i in images if i.path in present and i.path not in broken])
    return Report(
        dataset=dataset.name,
        root=str(dataset.root),
        classes=tuple(_per_class(images, present)),
        findings=tuple(findings),
        pixels_read=read_all,
    )


def _of_image(dataset: FileDataset, image: LabelledImage, read_all: bool) -> Iterator[Finding]:
    file, reading = dataset.file(image.path), dataset.reading
    try:
        header = read_header(file, reading)
        brightest = int(read_pixels(file, reading).max(initial=0)) if read_all else _DARK
    except SplitsError as error:
        yield _unread(error, image.path, image.category)
        return
    if header.pages > 1:
        yield Finding("several pages", image.path, image.category, f"{header.pages} pages")
    if reading.upright and header.orientation != 1:
        yield Finding("turned", image.path, image.category, f"EXIF orientation {header.orientation}")
    if header.is_deep and brightest < _DARK:
        detail = f"its largest value is {largest_of_16_bits(file)}"
        yield Finding("dark 16 bits", image.path, image.category, detail)
    if image.mask:
        yield from _of_mask(dataset, image, header, read_all)
    elif image.part == "test" and image.defect not in ("", UNKNOWN):
        yield Finding("no mask", image.path, image.category)


def _unread(error: SplitsError, path: str, category: str) -> Finding:
    kind: Kind = "unsupported" if isinstance(error.__cause__, UnsupportedImage) else "unreadable"
    return Finding(kind, path, category, str(error.__cause__ or ""))


def _of_mask(dataset: FileDataset, image: LabelledImage, header: Header, read_all: bool) -> Iterator[Finding]:
    file = dataset.file(image.mask)
    if not file.is_file():
        yield Finding("missing mask", image.mask, image.category)
        return
    try:
        own = read_header(file, dataset.reading)
        if (own.height, own.width) != (header.height, header.width):
            detail = f"{own.width} x {own.height}, its image {header.width} x {header.height}"
            if header.orientation != 1:
                detail += f" with EXIF orientation {header.orientation}"
            yield Finding("wrong size", image.mask, image.category, detail)
        elif read_all:
            yield from _of_levels(mask_levels(file, dataset.reading), dataset.reading, image)
    except SplitsError as error:
        yield _unread(error, image.mask, image.category)


def _of_levels(levels: npt.NDArray[Any], reading: Reading, image: LabelledImage) -> Iterator[Finding]:
    share = float(marked(levels, reading).mean())
    greys = np.unique(levels[levels > 0])
    if not share:
        yield Finding("empty mask", image.mask, image.category)
    elif share > _MOST_MARKED:
        yield Finding("marks most", image.mask, image.category, f"marks {100 * share:.0f} % of the image")
    if not reading.mask_above and len(greys) >= _FEW_GREYS and greys[-1] >= _LEAST_WHITE:
        yield Finding("grey mask", image.mask, image.category, f"{len(greys)} grey levels")


def _stray_files(dataset: FileDataset, images: tuple[LabelledImage, ...]) -> Iterator[Finding]:
    """Image files below the data set's folders that the list does not name."""
    listed = {dataset.file(path) for image in images for path in (image.path, image.mask) if path}
    good = {
        (image.category, stem_of(image.path)) for image in images if image.part == "test" and not image.defect
    }
    for place in dataset.places():
        for file in sorted(place.rglob("*")):
            path = file.relative_to(dataset.root or place)
            if file in listed or any(part.startswith(".") for part in path.parts) or not file.is_file():
                continue
            category, suffix = path.parts[0], file.suffix.lower()
            is_mask = any(
                part in ("ground_truth", "Label") or "mask" in part.lower() for part in path.parts[:-1]
            )
            if suffix in _OTHER_SUFFIXES:
                yield Finding("other file", path.as_posix(), category)
            elif suffix not in IMAGE_SUFFIXES:
                continue
            elif is_mask and file.parent.name == GOOD and (category, _image_stem(file.name)) in good:
                yield from _of_good_mask(dataset, file, path.as_posix(), category)
            else:
                yield Finding("mask without image" if is_mask else "extra file", path.as_posix(), category)


def _image_stem(mask: str) -> str:
    return stem_of(mask).removesuffix("_mask")


def _of_good_mask(dataset: FileDataset, file: Path, path: str, category: str) -> Iterator[Finding]:
    """A mask of a good image is usual in some data sets, as long as it is black."""
    try:
        if marked(mask_levels(file, dataset.reading), dataset.reading).any():
            yield Finding("marked good", path, category)
    except SplitsError as error:
        yield _unread(error, path, category)


def _without(images: tuple[LabelledImage, ...]) -> Iterator[Finding]:
    """Classes of which nothing can be measured, since good or defective test images are missing."""
    for category in sorted({image.category for image in images}):
        kinds = {image.defect for image in images if image.category == category and image.part == "test"}
        if UNKNOWN not in kinds and "" not in kinds:
            yield Finding("no good", category, category)
        if UNKNOWN not in kinds and kinds <= {""}:
            yield Finding("no defect", category, category)


def _label_counts(images: tuple[LabelledImage, ...]) -> Iterator[Finding]:
    for row in inventories.table("dagm.csv"):
        tested = [i for i in images if i.category == row["class"] and i.part == "test"]
        known = sum(image.defect not in ("", UNKNOWN) for image in tested)
        if known != int(row["test_defects"]):
            detail = f"{known} masks, expected {row['test_defects']}"
            yield Finding("label count", f"{row['class']}/Test/Label", row["class"], detail)


def _leaks(dataset: FileDataset, images: list[LabelledImage]) -> Iterator[Finding]:
    """Test images whose bytes are also trained on."""
    trained = {dataset.content_digest(image): image.path for image in images if image.part == "train"}
    for image in images:
        twin = trained.get(dataset.content_digest(image)) if image.part == "test" else None
        if twin is not None:
            yield Finding("same content", image.path, image.category, f"as {twin}")


def _per_class(images: tuple[LabelledImage, ...], present: set[str]) -> Iterator[ClassFiles]:
    for category in sorted({image.category for image in images}):
        own = {part: [i for i in images if i.category == category and i.part == part] for part in PARTS}
        found = {part: sum(image.path in present for image in own[part]) for part in PARTS}
        yield ClassFiles(category, len(own["train"]), found["train"], len(own["test"]), found["test"])
