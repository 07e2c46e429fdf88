"""Matching of paths in lists of other tools with the images of a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ltbench.splits.datasets import Dataset
from ltbench.splits.datasets.visa import original_path
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage

_SHOWN = 3


@dataclass(frozen=True)
class Index:
    """Index of a data set's images by all spellings of their paths."""

    dataset: str
    exact: dict[str, LabelledImage]
    loose: dict[str, LabelledImage]
    """Images by lower-case path without suffix, if unambiguous."""

    def find(self, path: str) -> LabelledImage | None:
        """Find the image that the path, or its tail without leading folders, names; None if there is none.

        Backslashes and "./" are normalised.
        """
        parts = [part for part in path.strip().replace("\\", "/").split("/") if part not in ("", ".")]
        tails = ["/".join(parts[start:]) for start in range(len(parts))]
        image = next((self.exact[tail] for tail in tails if tail in self.exact), None)
        if image is not None:
            return image
        return next((self.loose[key] for key in map(_loosely, tails) if key in self.loose), None)


def _loosely(path: str) -> str:
    """Key for a tolerant comparison: lower case, without the file's suffix."""
    return str(PurePosixPath(path.lower()).with_suffix("")) if path else path


def spellings(image: LabelledImage, dataset: str) -> list[str]:
    """Spellings of an image: its path, its injected copy `train/good/<defect>_<file>`, VisA's original."""
    paths = [image.path]
    name = PurePosixPath(image.path).name
    folder = PurePosixPath(image.path).parent.name
    if image.part == "test" and image.defect == folder:
        paths.append(f"{image.category}/train/good/{folder}_{name}")
    if dataset.partition(":")[0] == "visa":
        paths.append(original_path(image.path))
    return paths


def index(dataset: Dataset) -> Index:
    """Index all images of a data set; the name of an injected copy never hides an image with that path."""
    exact: dict[str, LabelledImage] = {}
    loose: dict[str, set[LabelledImage]] = defaultdict(set)
    for image in dataset.images():
        exact[image.path] = image
    for image in dataset.images():
        for name in spellings(image, dataset.name):
            exact.setdefault(name, image)
    for name, image in exact.items():
        loose[_loosely(name)].add(image)
    unambiguous = {key: images.pop() for key, images in loose.items() if len(images) == 1}
    return Index(dataset.name, exact, unambiguous)


def resolve(paths: Sequence[str], known: Index, source: str) -> tuple[list[LabelledImage], list[str]]:
    """Find the images of paths.

    Args:
        paths: Paths as written in a list.
        known: Index of the data set.
        source: File of the list, for messages.

    Returns:
        The images, each once, and notes on repeated paths.

    Raises:
        SplitsError: If a path does not name an image of the data set.
    """
    images: dict[str, LabelledImage] = {}
    unknown: list[str] = []
    repeated: list[str] = []
    for path in paths:
        image = known.find(path)
        if image is None:
            unknown.append(path)
        elif image.path in images:
            repeated.append(path)
        else:
            images[image.path] = image
    if unknown:
        raise SplitsError(
            f"{len(unknown)} of {len(paths)} paths in '{source}' name no image of '{known.dataset}' "
            f"({_some(unknown)}): was the list made for another data set or version?"
        )
    notes = [f"{len(repeated)} paths stand twice and count once ({_some(repeated)})"] if repeated else []
    return list(images.values()), notes


def _some(paths: Iterable[str]) -> str:
    """Enumerate the first few paths in quotes."""
    shown = [repr(path) for path in paths]
    return ", ".join(shown[:_SHOWN]) + (" ..." if len(shown) > _SHOWN else "")
