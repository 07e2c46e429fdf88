"""The embedded data set: 17 classes drawn by formulas, in MVTec AD's layout, nothing to download."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ltbench.registry import UnknownName
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage, Part, Pixels
from ltbench.splits.rendering.catalogue import KINDS
from ltbench.splits.rendering.keeping import Shelf
from ltbench.splits.rendering.picture import SEED, STRENGTHS, VERSION, Name, render

FACTS = Facts(
    name="synthetic",
    title="Synthetic products (embedded)",
    licence="Apache-2.0",
    address="part of ltbench",
    size="no download",
    default_contamination=0.10,
    gallery_allowed=True,
    folders=("synthetic",),
    example="washer/train/good/000.png",
)


@dataclass(frozen=True)
class Amounts:
    """Pictures per class."""

    train: int
    test_good: int
    test_defective: int
    """Total number; spread evenly over the class' defect types, rounded down."""


FULL = Amounts(train=100, test_good=30, test_defective=30)
SMALL = Amounts(train=24, test_good=4, test_defective=10)
"""The first few pictures of the full set: the same files, for quick tests."""
_FILE = re.compile(r"(\d{3})\.png")
Progress = Callable[[int, int], None]


class SyntheticDataset:
    """Pictures that are drawn on demand and kept in a folder if it can be written."""

    title, licence, citation = FACTS.title, FACTS.licence, FACTS.citation
    address, size = FACTS.address, FACTS.size
    default_contamination, gallery_allowed = FACTS.default_contamination, FACTS.gallery_allowed

    def __init__(
        self,
        data_root: Path,
        categories: tuple[str, ...] = tuple(KINDS),
        *,
        amounts: Amounts = FULL,
        difficulty: str = "",
        name: str = FACTS.name,
    ) -> None:
        """`difficulty` is a key of `STRENGTHS`: "" or "hard"."""
        self.name = name
        self.identity = f"synthetic/v{VERSION}" + (f"-{difficulty}" if difficulty else "")
        self.root = data_root / self.identity
        """Folder of the drawn pictures."""
        self._categories, self._amounts, self._difficulty = categories, amounts, difficulty
        self._shelf = Shelf(self.root, self.identity)

    def images(self) -> tuple[LabelledImage, ...]:
        """All images, by class, part, defect type and number."""
        return self._images

    @cached_property
    def _images(self) -> tuple[LabelledImage, ...]:
        return tuple(image for category in self._categories for image in _of_class(category, self._amounts))

    def pixels(self, image: LabelledImage) -> Pixels:
        """uint8 (256, 256, 3), RGB. Raises SplitsError where this data set has no such picture."""
        name = self._name(image)
        kept = self._shelf.get(image.path)
        if kept is not None and kept.ndim == 3:
            return kept
        pixels, _ = self._draw(image, name)
        return pixels

    def mask(self, image: LabelledImage) -> Pixels | None:
        """uint8 (256, 256), 255 where defective, else 0; None of a good image."""
        name = self._name(image)
        if not image.mask:
            return None
        kept = self._shelf.get(image.mask)
        if kept is not None and kept.ndim == 2:
            return kept
        _, mask = self._draw(image, name)
        return mask

    def mask_version(self, _: LabelledImage) -> str:
        """Version and difficulty of the drawing recipe, which determine every mask."""
        return self.identity

    def _draw(self, image: LabelledImage, name: Name) -> tuple[Pixels, Pixels | None]:
        pixels, mask = render(name, self._difficulty)
        if self._shelf.put(image.path, pixels) and mask is not None:
            self._shelf.put(image.mask, mask)
        return pixels, mask

    def _name(self, image: LabelledImage) -> Name:
        kind = KINDS.get(image.category)
        number = _FILE.fullmatch(image.path.rpartition("/")[2])
        known = kind is not None and (not image.defect or image.defect in kind.defects)
        if (
            number is None
            or not known
            or image != _labelled(image.category, image.part, image.defect, int(number[1]))
        ):
            raise SplitsError(
                f"image '{image.path}' is none of data set '{self.name}': expected a path like "
                f"'{FACTS.example}'; see `ltbench data ls`"
            )
        return Name(image.category, image.part, image.defect, int(number[1]))

    def content_digest(self, image: LabelledImage) -> str:
        """Hash of the recipe's version and the path, which determine the pixels; nothing is drawn."""
        return hashlib.sha256(f"{self.identity}/{SEED}/{image.path}".encode()).hexdigest()

    def require_pixels(self) -> None:
        """Nothing: the pictures are always at hand."""

    def data_digest(self) -> str:
        """sha256 over the recipe's version and the listing: what is drawn, not the drawn bytes."""
        listing = "\n".join(image.path for image in self.images())
        return hashlib.sha256(f"{self.identity}/{SEED}\n{listing}".encode()).hexdigest()

    def materialise(self, folder: Path, progress: Progress | None = None) -> int:
        """Write all images and masks below `folder` in MVTec AD's layout; the number of images.

        What is there already and whole is left alone. `progress` is called with (done, all) images. Raises
        SplitsError where the folder cannot be written.
        """
        shelf = Shelf(folder, self.identity)
        for done, image in enumerate(self.images()):
            if progress is not None:
                progress(done, len(self.images()))
            paths = [path for path in (image.path, image.mask) if path]
            if all(shelf.get(path) is not None for path in paths):
                continue
            pixels, mask = self.pixels(image), self.mask(image)
            try:
                shelf.write(image.path, pixels)
                if mask is not None:
                    shelf.write(image.mask, mask)
            except OSError as error:
                raise SplitsError(
                    f"'{folder / image.path}' cannot be written ({error.strerror}): expected a folder with "
                    "room for 300 MB; name another one"
                ) from error
        return len(self.images())


def _labelled(category: str, part: Part, defect: str, number: int) -> LabelledImage:
    mask = f"{category}/ground_truth/{defect}/{number:03d}_mask.png" if defect else ""
    return LabelledImage(
        f"{category}/{part}/{defect or 'good'}/{number:03d}.png", category, part, defect, mask
    )


def _of_class(category: str, amounts: Amounts) -> Iterator[LabelledImage]:
    defects = KINDS[category].defects
    for defect in sorted(("good", *defects)):
        wanted = amounts.test_good if defect == "good" else amounts.test_defective // len(defects)
        for number in range(wanted):
            yield _labelled(category, "test", "" if defect == "good" else defect, number)
    for number in range(amounts.train):
        yield _labelled(category, "train", "", number)


def open_dataset(data_root: Path, argument: str = "") -> SyntheticDataset:
    """The data set; `argument` is "", or words joined by "+": "small", "hard", names of classes.

    "small" is the first few pictures of every class, "hard" has fainter defects, class names keep those
    classes alone. Raises UnknownName for any other word.
    """
    words = {word for word in argument.split("+") if word}
    options = {"small", *filter(None, STRENGTHS)}
    unknown = next((word for word in sorted(words) if word not in options and word not in KINDS), None)
    if unknown is not None:
        raise UnknownName("class or option of 'synthetic'", unknown, [*KINDS, *options])
    name = ":".join(filter(None, (FACTS.name, "+".join(sorted(words)))))
    return SyntheticDataset(
        data_root,
        tuple(kind for kind in KINDS if kind in words) or tuple(KINDS),
        amounts=SMALL if "small" in words else FULL,
        difficulty="hard" if "hard" in words else "",
        name=name,
    )
