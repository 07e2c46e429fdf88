"""Kinds of faults that a local copy of a data set can have, and what to do about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "missing image", "missing mask", "extra file", "other file", "mask without image", "unreadable",
    "unsupported", "several pages", "wrong size", "empty mask", "marks most", "grey mask", "marked good",
    "no mask", "no defect", "no good", "label count", "same content", "dark 16 bits", "turned",
]  # fmt: skip

ADVICE: Mapping[Kind, str] = {
    "missing image": "unpack the archive again, or copy these files from it",
    "missing mask": "unpack the archive again: pixel metrics need these masks",
    "extra file": "not part of the data set and never read: move them away if they are not meant to be there",
    "other file": "of a kind that is not read: convert them to PNG if they are images of the class",
    "mask without image": "a mask is called as its image, '000_mask.png' or '000.png' for '000.jpg': rename "
    "it, name the ending in dataset.toml (`ltbench data import` writes one), or delete it",
    "unreadable": "replace these files: they are truncated or no images",
    "unsupported": "these files are intact: convert them",
    "several pages": "only the first page is read: save the one that is meant as a file of its own",
    "wrong size": "replace the mask or the image: a mask has as many pixels as its image",
    "empty mask": "a defect without a marked pixel: pixel metrics will count it as good, draw its mask",
    "marks most": "white on black marks a defect; for inverted masks write `inverted_masks = true` into "
    "dataset.toml",
    "grey mask": "the mask is lossy or soft, and all that is not black counts as marked: save it as black "
    "and white PNG, or name a limit in dataset.toml (`mask_above = 127`)",
    "marked good": "the mask of a good image marks pixels: empty it, or move the image to the defects",
    "no mask": "these defects count for image metrics only: add masks to judge them per pixel",
    "no defect": "the class has no defective test image: none of its metrics can be computed",
    "no good": "the class has no good test image: its image metrics cannot be computed",
    "label count": "check the Label folder: it does not hold as many masks as the data set is known to have",
    "same content": "trained and tested images with equal bytes: take one of the two away",
    "dark 16 bits": "values of 8 to 14 bits in 16 come out nearly black: scale them to the whole range, or "
    "name the value of white in dataset.toml (`white = 4095`)",
    "turned": "read as their EXIF orientation says, as viewers show them: masks must fit the upright image",
}
NOTES: frozenset[Kind] = frozenset(
    {
        "extra file", "other file", "no mask", "no defect", "no good", "same content", "dark 16 bits",
        "turned",
    }
)  # fmt: skip
"""Kinds that are remarks; the others are errors, with which a run fails or gives wrong values."""


@dataclass(frozen=True)
class Finding:
    """Fault of a file or class in a local copy."""

    kind: Kind
    path: str
    """Path relative to the data set's folder, or the name of a class."""
    category: str = ""
    detail: str = ""
