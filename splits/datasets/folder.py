"""The user's own images: `folder:PATH`, in MVTec AD's layout or as a `dataset.toml` in it describes."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from ltbench.home_folders import expanded
from ltbench.splits.datasets.decoding import Reading, read_otherwise
from ltbench.splits.datasets.described import FILE_NAME, Description, read_description
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.datasets.files import FileDataset, Listing, file_digest
from ltbench.splits.datasets.layout import is_class_folder, scan, scan_class
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.images import LabelledImage


class FolderDataset(FileDataset):
    """`<class>/train/good`, `<class>/test/<good or defect>`, masks optional; PATH may be one class."""

    def __init__(
        self, facts: Facts, listing: Listing, root: Path, *, is_whole: bool, reading: Reading
    ) -> None:
        """`is_whole`: the root holds nothing but this data set."""
        super().__init__(facts, listing, root, root, reading=reading)
        self._is_whole = is_whole

    def places(self) -> list[Path]:
        """The whole folder, unless the data set is one class of it."""
        return [self.advised] if self._is_whole else super().places()

    def content_digest(self, image: LabelledImage) -> str:
        """sha256 of the image file's bytes and, if reading options change the pixels, of these options."""
        if image.path not in self._digests:
            file = self.file(image.path)
            digest, changes = file_digest(file), ""
            # Reading an image that is broken says what is wrong; a digest only tells files apart.
            with suppress(SplitsError):
                changes = read_otherwise(file, self.reading)
            if changes:
                digest = hashlib.sha256(f"{digest} {changes}".encode()).hexdigest()
            self._digests[image.path] = digest
        return self._digests[image.path]

    def mask_version(self, image: LabelledImage) -> str:
        """Size and time of the mask's file, and how it is read; "" without one."""
        version = super().mask_version(image)
        return version and version + self.reading.of_masks

    @cached_property
    def _content(self) -> str:
        rows = []
        for image in self.images():
            row = f"{image.path}\t{image.part}\t{image.defect}\t{self.content_digest(image)}"
            if image.mask:
                row += f"\t{file_digest(self.file(image.mask))}{self.reading.of_masks}"
            rows.append(row)
        return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()

    def data_digest(self) -> str:
        """sha256 over paths, labels and contents of images and masks."""
        return self._content


def open_dataset(data_root: Path, argument: str) -> FolderDataset:
    """The folder `argument`, absolute, relative to here, or in `data_root`."""
    if not argument:
        raise SplitsError("data set 'folder:' names no folder: write 'folder:PATH', e.g. 'folder:~/parts'")
    typed = expanded(argument)
    found = next((path for path in (typed, data_root / typed) if path.is_dir()), None)
    if found is None:
        raise DataMissing(
            f"folder '{argument}' does not exist: expected a folder with '<class>/train/good' and "
            f"'<class>/test/<good or defect>' in it, here or in '{data_root}'"
        )
    found = found.resolve()
    described = read_description(found / FILE_NAME) if (found / FILE_NAME).is_file() else Description()
    facts = Facts(
        name=f"folder:{found.name}",
        title=described.title or found.name,
        licence=described.licence,
        size="",
        gallery_allowed=described.gallery_allowed,
    )
    place = (found / described.root).resolve()
    root = root_of(place, described)
    return FolderDataset(
        facts,
        lambda: listed(place, described),
        root,
        is_whole=root == place,
        reading=described.reading,
    )


def root_of(place: Path, described: Description) -> Path:
    """The folder that paths of images are relative to: of one class in MVTec AD's layout, the one above."""
    return place.parent if is_class_folder(place) and not described.has_layout else place


def listed(place: Path, described: Description) -> tuple[LabelledImage, ...]:
    """All images of a folder as its description, or MVTec AD's layout, has them. Raises SplitsError."""
    if described.has_layout:
        return described.images(place)
    if is_class_folder(place):
        return tuple(scan_class(place.parent, place.name, described.mask_ending))
    return scan(place, described.mask_ending)
