"""Is a local copy of a data set whole? What is missing, extra or broken, and what to do about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ltbench.splits import inventories
from ltbench.splits.datasets.files import FileDataset, image_size, largest_of_16_bits, read_mask, read_pixels
from ltbench.splits.datasets.layout import IMAGE_SUFFIXES, PARTS
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import UNKNOWN, LabelledImage

Kind = Literal[
    "missing image", "missing mask", "extra file", "mask without image", "unreadable", "wrong size",
    "empty mask", "no mask", "label count", "same content", "dark 16 bits",
]  # fmt: skip

ADVICE: dict[Kind, str] = {
    "missing image": "unpack the archive again, or copy these files from it",
    "missing mask": "unpack the archive again: pixel metrics need these masks",
    "extra file": "not part of the data set and never read: move them away if they are not meant to be there",
    "mask without image": "add the image of the same name, or delete the mask",
    "unreadable": "replace these files: they are truncated or no images",
    "wrong size": "replace the mask or the image: a mask has as many pixels as its image",
    "empty mask": "a defect without a marked pixel: pixel metrics will count it as good, draw its mask",
    "no mask": "these defects count for image metrics only: add masks to judge them per pixel",
    "label count": "check the Label folder: it does not hold as many masks as the data set is known to have",
    "dark 16 bits": "values of 10 to 14 bits in 16 come out nearly black: scale them to the whole range",
    "same content": "trained and tested images with equal bytes: take one of the two away",
}
NOTES: frozenset[Kind] = frozenset({"extra file", "no mask", "same content", "dark 16 bits"})
"""Kinds that a run survives; the others make a copy unfit."""

_FEW_OF_16_BITS = 1 << 14
"""An image of 16 bits without any value above this one leaves three quarters of the range unused."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    kind: Kind
    path: str
    """Relative to the data set's folder."""
    category: str = ""
    detail: str = ""


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
    """What a doctor says of a copy."""

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
    findings += _label_counts(images) if dataset.name == "dagm" else []
    if read_all:
        broken = {finding.path for finding in findings if finding.kind == "unreadable"}
        findings += _leaks(dataset, [i for i in images if i.path in present and i.path not in broken])
    return Report(
        dataset=dataset.name,
        root=str(dataset.root),
        classes=tuple(_per_class(images, present)),
        findings=tuple(findings),
        pixels_read=read_all,
    )


def _of_image(dataset: FileDataset, image: LabelledImage, read_all: bool) -> Iterator[Finding]:
    file = dataset.file(image.path)
    try:
        if read_all:
            height, width = read_pixels(file).shape[:2]
        else:
            height, width = image_size(file)
    except SplitsError as error:
        yield Finding("unreadable", image.path, image.category, str(error.__cause__ or ""))
        return
    if read_all and 0 < (most := largest_of_16_bits(file)) < _FEW_OF_16_BITS:
        yield Finding("dark 16 bits", image.path, image.category, f"its largest value is {most}")
    if image.mask:
        yield from _of_mask(dataset, image, (height, width), read_all)
    elif image.part == "test" and image.defect not in ("", UNKNOWN):
        yield Finding("no mask", image.path, image.category)


def _of_mask(
    dataset: FileDataset, image: LabelledImage, size: tuple[int, int], read_all: bool
) -> Iterator[Finding]:
    file = dataset.file(image.mask)
    if not file.is_file():
        yield Finding("missing mask", image.mask, image.category)
        return
    try:
        found = image_size(file)
        if found != size:
            detail = f"{found[1]} x {found[0]}, its image {size[1]} x {size[0]}"
            yield Finding("wrong size", image.mask, image.category, detail)
        elif read_all and not read_mask(file, *size).any():
            yield Finding("empty mask", image.mask, image.category)
    except SplitsError as error:
        yield Finding("unreadable", image.mask, image.category, str(error.__cause__ or ""))


def _stray_files(dataset: FileDataset, images: tuple[LabelledImage, ...]) -> Iterator[Finding]:
    """Image files below the classes' folders that the list does not name."""
    if dataset.root is None:
        return
    listed = {dataset.file(path) for image in images for path in (image.path, image.mask) if path}
    for category in sorted({image.category for image in images}):
        for file in sorted((dataset.root / category).rglob("*")):
            if file.suffix.lower() not in IMAGE_SUFFIXES or file in listed or not file.is_file():
                continue
            path = file.relative_to(dataset.root)
            is_mask = any(part in ("ground_truth", "Masks", "Label") for part in path.parts)
            yield Finding("mask without image" if is_mask else "extra file", path.as_posix(), category)


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
