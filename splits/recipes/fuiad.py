"""`fuiad_nr10`: Real-IAD's own noisy lists, read from the data set's folder."""

from __future__ import annotations

import re

from ltbench.splits.datasets import Dataset
from ltbench.splits.datasets.files import FileDataset
from ltbench.splits.datasets.realiad import read_lists
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.recipes import Overlap
from ltbench.splits.split import Split

ONLY_FOR = ("realiad",)
EXAMPLES = ("fuiad_nr00", "fuiad_nr10", "fuiad_nr20", "fuiad_nr40")


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Read the training and test list of `realiad_jsons_fuiad_0.1`, whose draw is not public.

    True labels of training images come from the base lists. Raises SplitsError for another data set and
    DataMissing without the folder.
    """
    match = re.fullmatch(r"fuiad_nr([0124]0)", name)
    if match is None:
        return None
    if not isinstance(dataset, FileDataset) or dataset.name.partition(":")[0] != "realiad":
        raise SplitsError(
            f"split '{name}' exists for Real-IAD alone, not for '{dataset.name}': use 'meds_nr10'"
        )
    if dataset.root is None:
        raise DataMissing(dataset.missing_sentence())
    base = {image.path: image for image in dataset.images()}
    categories = {image.category for image in base.values()}
    entries = read_lists(dataset.root / f"realiad_jsons_fuiad_0.{match[1][0]}")
    labelled = [
        (part, base.get(image.path, image)) for part, image in entries if image.category in categories
    ]
    train = tuple(image for part, image in labelled if part == "train")
    test = [image for part, image in labelled if part == "test"]
    notes = []
    unknown = sum(image.path not in base for _, image in labelled)
    if unknown:
        notes.append(f"{unknown} images are not in the base lists; their labels are the noisy lists' own")
    if overlap == "none":
        trained = {image.path for image in train}
        test = [image for image in test if image.path not in trained]
    return Split(
        dataset=dataset.name,
        recipe=name,
        seed=seed,
        train=train,
        test=tuple(test),
        evidence="imported",
        source="Real-IAD's realiad_jsons_fuiad lists, from this machine",
        parameters={"recipe": "fuiad", "noise": int(match[1]) / 100},
        notes=tuple(notes),
    )
