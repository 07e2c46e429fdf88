"""Data sets stored as image files: pixels, masks and digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ltbench.registry import UnknownName
from ltbench.splits.datasets.decoding import AS_STORED, Reading, read_header, read_mask, read_pixels
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.images import LabelledImage, Pixels


def file_digest(path: Path) -> str:
    """sha256 of the file's bytes, 64 hex digits. Raises SplitsError naming the file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SplitsError(
            f"file '{path}' cannot be read ({error.strerror}): put an intact copy in its place"
        ) from error


Listing = Callable[[], tuple[LabelledImage, ...]]
Locate = Callable[[Path, str], Path]


def there(root: Path) -> bool:  # noqa: ARG001
    """Assume that a root folder holds images, which is true of most data sets."""
    return True


def as_is(root: Path, path: str) -> Path:
    """File of a path in a copy with the data set's original layout."""
    return root / path


class FileDataset:
    """Data set with a known listing, whose image files are in a folder or missing."""

    def __init__(
        self,
        facts: Facts,
        listing: Listing,
        root: Path | None,
        advised: Path,
        *,
        locate: Locate = as_is,
        has_images: Callable[[Path], bool] = there,
        reading: Reading = AS_STORED,
    ) -> None:
        """Describe the data set; files are not read.

        Args:
            facts: Name, licence and origin of the data set.
            listing: Function that lists the images.
            root: Folder of the images; None = missing.
            advised: Folder into which missing images should be unpacked.
            locate: Function from the root and the listed path of an image or mask to its file.
            has_images: Check whether a root holds images rather than lists only.
            reading: Choices of decoding.
        """
        self.facts = facts
        self.name, self.title, self.licence = facts.name, facts.title, facts.licence
        self.citation, self.address, self.size = facts.citation, facts.address, facts.size
        self.default_contamination = facts.default_contamination
        self.gallery_allowed = facts.gallery_allowed
        self.root = root
        self.advised = advised
        self._listing = listing
        self._locate = locate
        self._has_images = has_images
        self.reading = reading
        self._digests: dict[str, str] = {}

    def images(self) -> tuple[LabelledImage, ...]:
        """All images in the data set's listing order."""
        return self._images

    @cached_property
    def _images(self) -> tuple[LabelledImage, ...]:
        """Listing, computed once."""
        return self._listing()

    def file(self, path: str) -> Path:
        """File of the listed path of an image or mask. Raises DataMissing if the images are missing."""
        self.require_pixels()
        if self.root is None:  # unreachable: require_pixels raises
            raise DataMissing(self.missing_sentence())
        return self._locate(self.root, path)

    def places(self) -> list[Path]:
        """Folders that should hold only files of this data set, one per class."""
        categories = sorted({image.category for image in self.images()})
        return [] if self.root is None else [self.root / category for category in categories]

    def shape(self, image: LabelledImage) -> tuple[int, int]:
        """(height, width) of an image, from its file's header."""
        header = read_header(self.file(image.path), self.reading)
        return header.height, header.width

    def pixels(self, image: LabelledImage) -> Pixels:
        """Read an image: RGB, uint8 (H, W, 3). Raises DataMissing or SplitsError."""
        return read_pixels(self.file(image.path), self.reading)

    def mask(self, image: LabelledImage) -> Pixels | None:
        """Read the mask of an image: uint8 (H, W), 255 = defective; None if it has no mask."""
        if not image.mask:
            return None
        return read_mask(self.file(image.mask), *self.shape(image), self.reading)

    def mask_version(self, image: LabelledImage) -> str:
        """Size and modification time of the mask's file, which identify its version; "" without a mask."""
        if not image.mask:
            return ""
        try:
            state = self.file(image.mask).stat()
        except OSError:
            # The error is reported when the mask is read.
            return "missing"
        return f"{state.st_size} {state.st_mtime_ns}"

    def content_digest(self, image: LabelledImage) -> str:
        """Compute the sha256 of the image file's bytes; cached in this object."""
        if image.path not in self._digests:
            self._digests[image.path] = file_digest(self.file(image.path))
        return self._digests[image.path]

    def require_pixels(self) -> None:
        """Raise DataMissing unless the images are on this machine."""
        if self.root is None or not self._has_images(self.root):
            raise DataMissing(self.missing_sentence())

    def missing_sentence(self) -> str:
        """Sentence about missing images: licence, size, source and place."""
        facts = self.facts
        return (
            f"the images of '{facts.name}' ({facts.title}; licence {facts.licence}; {facts.size}) are not in "
            f"'{self.advised}': get them from {facts.address} and unpack them there, so that "
            f"'{self.advised / facts.example}' exists"
        )

    def data_digest(self) -> str:
        """Compute the sha256 of the name and listing (path, part), the version of the data set."""
        rows = sorted(f"{image.path}\t{image.part}" for image in self.images())
        return hashlib.sha256("\n".join([self.name, *rows]).encode()).hexdigest()


def find_root(data_root: Path, facts: Facts, is_root: Callable[[Path], bool]) -> tuple[Path | None, Path]:
    """Find a data set below `data_root`.

    Returns:
        First candidate folder for which `is_root` is true, or None; and the folder where the data should be.
    """
    candidates = [data_root / folder for folder in facts.folders]
    candidates += [data_root] if data_root.name in facts.folders else []
    found = next((place for place in candidates if is_root(place)), None)
    return found, found or candidates[0]


def only_classes(facts: Facts, listing: Listing, argument: str) -> tuple[Facts, Listing]:
    """Restrict a data set to the classes in `argument`, e.g. "bottle+screw"; "" = all classes.

    The classes become part of the data set's name. Raises UnknownName, on listing, for an unknown class.
    """
    wanted = [name for name in argument.split("+") if name]
    if not wanted:
        return facts, listing

    def cut() -> tuple[LabelledImage, ...]:
        images = listing()
        known = {image.category for image in images}
        unknown = next((name for name in wanted if name not in known), None)
        if unknown is not None:
            raise UnknownName(f"class of '{facts.name}'", unknown, known)
        return tuple(image for image in images if image.category in wanted)

    return replace(facts, name=f"{facts.name}:{'+'.join(sorted(wanted))}"), cut
