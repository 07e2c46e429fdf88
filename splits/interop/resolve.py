"""Paths as others write them, turned into the images of a data set."""

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
    """Every spelling under which an image of the data set is known."""

    dataset: str
    exact: dict[str, LabelledImage]
    loose: dict[str, LabelledImage]
    """By path in lower case without suffix, where that is unambiguous."""

    def find(self, path: str) -> LabelledImage | None:
        """The image that any tail of the path names: prefixes, "\\\\" and "./" are a matter of machines."""
        parts = [part for part in path.strip().replace("\\", "/").split("/") if part not in ("", ".")]
        tails = ["/".join(parts[start:]) for start in range(len(parts))]
        found = next((self.exact[tail] for tail in tails if tail in self.exact), None)
        if found is not None:
            return found
        return next((self.loose[key] for key in map(_loosely, tails) if key in self.loose), None)


def _loosely(path: str) -> str:
    return str(PurePosixPath(path.lower()).with_suffix("")) if path else path


def spellings(image: LabelledImage, dataset: str) -> list[str]:
    """Its path, its copy among the goods (`<defect>_<file>`, as injection stores it), VisA's original."""
    found = [image.path]
    name = PurePosixPath(image.path).name
    folder = PurePosixPath(image.path).parent.name
    if image.part == "test" and image.defect == folder:
        found.append(f"{image.category}/train/good/{folder}_{name}")
    if dataset.partition(":")[0] == "visa":
        found.append(original_path(image.path))
    return found


def index(dataset: Dataset) -> Index:
    """Of all images of the data set. A copy's name never hides an image that really has it."""
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
    """(images, notes), each image once. Raises SplitsError where a path names no image of the data set."""
    found: dict[str, LabelledImage] = {}
    unknown: list[str] = []
    repeated: list[str] = []
    for path in paths:
        image = known.find(path)
        if image is None:
            unknown.append(path)
        elif image.path in found:
            repeated.append(path)
        else:
            found[image.path] = image
    if unknown:
        raise SplitsError(
            f"{len(unknown)} of {len(paths)} paths in '{source}' name no image of '{known.dataset}' "
            f"({_some(unknown)}): was the list made for another data set or version?"
        )
    notes = [f"{len(repeated)} paths stand twice and count once ({_some(repeated)})"] if repeated else []
    return list(found.values()), notes


def _some(paths: Iterable[str]) -> str:
    shown = [repr(path) for path in paths]
    return ", ".join(shown[:_SHOWN]) + (" ..." if len(shown) > _SHOWN else "")
