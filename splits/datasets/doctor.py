"""Examination of a local copy of a data set for missing, unexpected and damaged files."""

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
"""16-bit images whose largest value is below this after scaling to 8 bits are reported as dark."""
_MOST_MARKED = 2 / 3
"""Masks that mark a larger share of the image are reported."""
_FEW_GREYS, _LEAST_WHITE = 4, 32
"""Masks with so many grey levels, the largest at least so bright, are reported as lossy or soft.

Masks of VisA hold small defect numbers, so many levels alone are no fault.
"""
_OTHER_SUFFIXES = frozenset(
    {".avif", ".dng", ".cr2", ".exr", ".gif", ".heic", ".heif", ".jp2", ".nef", ".npy", ".raw", ".tga"}
)


@dataclass(frozen=True)
class ClassFiles:
    """Expected and found numbers of images of one class."""

    category: str
    expected_train: int
    found_train: int
    expected_test: int
    found_test: int


@dataclass(frozen=True)
class Report:
    """Findings in a local copy, and its numbers of images."""

    dataset: str
    root: str
    classes: tuple[ClassFiles, ...]
    findings: tuple[Finding, ...]
    pixels_read: bool
    """Whether pixels and contents were checked, not only presence and sizes."""

    @property
    def ok(self) -> bool:
        """Whether all findings are remarks, so that runs neither fail nor give wrong values."""
        return all(finding.kind in NOTES for finding in self.findings)

    @property
    def has_unread(self) -> bool:
        """Whether an image or mask is missing, unreadable or of the wrong size."""
        unread = {"missing image", "missing mask", "unreadable", "unsupported", "wrong size"}
        return any(finding.kind in unread for finding in self.findings)

    def counts(self) -> dict[Kind, int]:
        """Count the findings of each kind that occurs."""
        return dict(Counter(finding.kind for finding in self.findings))

    def advice(self) -> list[str]:
        """Format one line per kind of finding: first path, number of others and remedy."""
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
    """Compare the files of a local copy with the data set's listing.

    Args:
        dataset: Data set to examine.
        read_all: Also decode all files and compare their contents; False takes seconds.
        progress: Function that is called with the numbers of examined and of all images.

    Raises:
        DataMissing: If there are no images.
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
    """Check an image and its mask."""
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
    """Build the finding of a file that cannot be read."""
    kind: Kind = "unsupported" if isinstance(error.__cause__, UnsupportedImage) else "unreadable"
    return Finding(kind, path, category, str(error.__cause__ or ""))


def _of_mask(dataset: FileDataset, image: LabelledImage, header: Header, read_all: bool) -> Iterator[Finding]:
    """Check presence, size and values of an image's mask."""
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
    """Check the values of a mask."""
    share = float(marked(levels, reading).mean())
    greys = np.unique(levels[levels > 0])
    if not share:
        yield Finding("empty mask", image.mask, image.category)
    elif share > _MOST_MARKED:
        yield Finding("marks most", image.mask, image.category, f"marks {100 * share:.0f} % of the image")
    if not reading.mask_above and len(greys) >= _FEW_GREYS and greys[-1] >= _LEAST_WHITE:
        yield Finding("grey mask", image.mask, image.category, f"{len(greys)} grey levels")


def _stray_files(dataset: FileDataset, images: tuple[LabelledImage, ...]) -> Iterator[Finding]:
    """Find image files below the data set's folders that are not in the listing."""
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
    """Name of a mask's image without suffix."""
    return stem_of(mask).removesuffix("_mask")


def _of_good_mask(dataset: FileDataset, file: Path, path: str, category: str) -> Iterator[Finding]:
    """Check that a good image's mask, which some data sets have, is empty."""
    try:
        if marked(mask_levels(file, dataset.reading), dataset.reading).any():
            yield Finding("marked good", path, category)
    except SplitsError as error:
        yield _unread(error, path, category)


def _without(images: tuple[LabelledImage, ...]) -> Iterator[Finding]:
    """Find classes without good or without defective test images, whose metrics are undefined."""
    for category in sorted({image.category for image in images}):
        kinds = {image.defect for image in images if image.category == category and image.part == "test"}
        if UNKNOWN not in kinds and "" not in kinds:
            yield Finding("no good", category, category)
        if UNKNOWN not in kinds and kinds <= {""}:
            yield Finding("no defect", category, category)


def _label_counts(images: tuple[LabelledImage, ...]) -> Iterator[Finding]:
    """Compare DAGM's numbers of masks with the known ones."""
    for row in inventories.table("dagm.csv"):
        tested = [i for i in images if i.category == row["class"] and i.part == "test"]
        known = sum(image.defect not in ("", UNKNOWN) for image in tested)
        if known != int(row["test_defects"]):
            detail = f"{known} masks, expected {row['test_defects']}"
            yield Finding("label count", f"{row['class']}/Test/Label", row["class"], detail)


def _leaks(dataset: FileDataset, images: list[LabelledImage]) -> Iterator[Finding]:
    """Find test images with the same bytes as a training image."""
    trained = {dataset.content_digest(image): image.path for image in images if image.part == "train"}
    for image in images:
        twin = trained.get(dataset.content_digest(image)) if image.part == "test" else None
        if twin is not None:
            yield Finding("same content", image.path, image.category, f"as {twin}")


def _per_class(images: tuple[LabelledImage, ...], present: set[str]) -> Iterator[ClassFiles]:
    """Count expected and found images per class."""
    for category in sorted({image.category for image in images}):
        own = {part: [i for i in images if i.category == category and i.part == part] for part in PARTS}
        found = {part: sum(image.path in present for image in own[part]) for part in PARTS}
        yield ClassFiles(category, len(own["train"]), found["train"], len(own["test"]), found["test"])
