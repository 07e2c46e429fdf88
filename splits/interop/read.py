"""Import of splits from lists of files."""

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
    """Import a split from a list and compare it with the named splits.

    The format is detected from the content: TailedCore's two files, CSV, JSON, JSON lines, plain paths,
    ltbench's manifest, an exported archive, or a folder tree.

    Args:
        place: File or folder of the list.
        dataset: Data set of the images.
        name: Name of the split.
        seed: Seed of the split.
        test: File or folder with test images, added to those of the list. If neither names test images, the
            data set's whole test part is used, as in all three papers.
        overlap: "none" removes training images from the test list.

    Raises:
        SplitsError: In one sentence, for any error in the list.
    """
    listing = read_listing(place)
    if test is not None:
        tested = read_listing(test)
        listing = replace(listing, test=(*tested.train, *(tested.test or ())))
    split = to_split(listing, dataset, name=name, seed=seed, overlap=overlap)
    comparison = compare(split, dataset)
    return replace(split, groups=comparison.groups), comparison


def to_split(listing: Listing, dataset: Dataset, *, name: str, seed: int, overlap: Overlap) -> Split:
    """Build a split from a list by finding its images in the data set. Raises SplitsError if that fails."""
    known = index(dataset)
    if listing.pruned is not None:
        train, notes = _from_tailedcore(listing, dataset, known)
    else:
        train, notes = resolve(listing.train, known, listing.source)
    if not train:
        raise SplitsError(f"'{listing.source}' lists no training image: expected at least one")
    tested = [image for image in dataset.images() if image.part == "test"]
    if listing.test is not None:
        tested, more = resolve(listing.test, known, listing.source)
        notes = [*notes, *more]
    else:
        notes = [*notes, "the list names no test images: the data set's whole test part judges"]
    trained = {image.path for image in train}
    if overlap == "none":
        tested = [image for image in tested if image.path not in trained]
    elif seen := sum(image.path in trained and not image.is_defective for image in tested):
        notes = [*notes, f"{seen} good images are trained on and tested: scores of a memory will be too good"]
    return Split(
        dataset=dataset.name,
        recipe=name,
        seed=seed,
        train=tuple(train),
        test=tuple(tested),
        evidence="imported",
        source=f"{listing.format}: {Path(listing.source).name}",
        parameters={"recipe": "imported", "name": name},
        notes=(*listing.notes, *notes),
    )


def _from_tailedcore(
    listing: Listing, dataset: Dataset, known: Index
) -> tuple[list[LabelledImage], list[str]]:
    """Training images and notes of a TailedCore manifest: unpruned good images and injected defects."""
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
