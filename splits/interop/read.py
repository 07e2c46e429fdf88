"""A split from somebody else's list of files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ltbench.splits.datasets import Dataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage
from ltbench.splits.interop.compare import Comparison, compare
from ltbench.splits.interop.listing import Listing
from ltbench.splits.interop.parse import read_listing
from ltbench.splits.interop.resolve import Index, index, resolve
from ltbench.splits.recipes import Overlap
from ltbench.splits.split import Split


def import_split(
    place: Path,
    dataset: Dataset,
    *,
    name: str = "imported",
    seed: int = 0,
    test: Path | None = None,
    overlap: Overlap = "paper",
) -> tuple[Split, Comparison]:
    """The split that a file or folder lists, and what it is compared with the named ones.

    Formats are told apart by content: TailedCore's two files, CSV, JSON, JSON lines, plain paths, our
    manifest, an exported archive, a folder tree. Where the list says nothing of testing, `test` is read for
    it; without `test` the data set's whole test part judges, as in all three papers.
    Raises SplitsError, one sentence, for whatever is wrong.
    """
    listing = read_listing(place)
    if test is not None:
        judged = read_listing(test)
        listing = replace(listing, test=(*judged.train, *(judged.test or ())))
    split = to_split(listing, dataset, name=name, seed=seed, overlap=overlap)
    compared = compare(split, dataset)
    return replace(split, groups=compared.groups), compared


def to_split(listing: Listing, dataset: Dataset, *, name: str, seed: int, overlap: Overlap) -> Split:
    """Find the listed images in the data set. Raises SplitsError where that fails."""
    known = index(dataset)
    if listing.pruned is not None:
        train, notes = _of_tailedcore(listing, dataset, known)
    else:
        train, notes = resolve(listing.train, known, listing.source)
    if not train:
        raise SplitsError(f"'{listing.source}' lists no training image: expected at least one")
    judged = [image for image in dataset.images() if image.part == "test"]
    if listing.test is not None:
        judged, more = resolve(listing.test, known, listing.source)
        notes = [*notes, *more]
    else:
        notes = [*notes, "the list names no test images: the data set's whole test part judges"]
    trained = {image.path for image in train}
    if overlap == "none":
        judged = [image for image in judged if image.path not in trained]
    elif seen := sum(image.path in trained and not image.is_defective for image in judged):
        notes = [*notes, f"{seen} good images are trained on and tested: scores of a memory will be too good"]
    return Split(
        dataset=dataset.name,
        recipe=name,
        seed=seed,
        train=tuple(train),
        test=tuple(judged),
        evidence="imported",
        source=f"{listing.format}: {Path(listing.source).name}",
        parameters={"recipe": "imported", "name": name},
        notes=(*listing.notes, *notes),
    )


def _of_tailedcore(listing: Listing, dataset: Dataset, known: Index) -> tuple[list[LabelledImage], list[str]]:
    pruned, notes = resolve(listing.pruned or (), known, listing.source)
    injected, more = resolve(listing.train, known, listing.source)
    wrong = next((image for image in injected if not image.is_defective), None)
    if wrong is not None:
        raise SplitsError(
            f"inject_defects.txt in '{listing.source}' names '{wrong.path}', which is good: "
            "expected defects as '<class>/train/good/<defect>_<file>'"
        )
    taken = {image.path for image in pruned}
    kept = [
        image
        for image in dataset.images()
        if image.part == "train" and not image.is_defective and image.path not in taken
    ]
    return [*kept, *injected], [*notes, *more]
