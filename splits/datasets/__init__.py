"""Data sets by name: modules of this folder, of installed packages or of a plug-in folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ltbench.registry import Registry
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.images import LabelledImage, Pixels, PixelSource

DATASETS = Registry(
    "data set",
    __name__,
    group="datasets",
    shared=frozenset(
        {
            "layout", "facts", "files", "decoding", "described", "fetch", "download", "licences", "doctor",
            "findings", "importing",
        }
    ),
)  # fmt: skip
"""Registry of data sets: modules with `open_dataset(data_root, argument)`, and `FACTS` if public."""


class Dataset(PixelSource, Protocol):
    """Labelled images with their origin and licence."""

    name: str
    """Name on the command line and in results: "mvtec", "folder:parts"."""
    title: str
    licence: str
    citation: str
    """BibTeX entry; "" for the user's own images."""
    address: str
    """Address from which the data can be obtained."""
    size: str
    """Download size as text, e.g. "5.3 GB"; "" if unknown."""
    default_contamination: float
    """Default ratio of injected defects to the kept good images of head classes (0.10, VisA 0.05)."""
    gallery_allowed: bool
    """Whether the licence allows to show images on a public page."""

    def images(self) -> tuple[LabelledImage, ...]:
        """All images in the data set's listing order, from an inventory if the files are missing."""
        ...

    def mask(self, image: LabelledImage) -> Pixels | None:
        """Mask uint8 (H, W), nonzero where defective; None for an image without a mask, as all good ones."""
        ...

    def require_pixels(self) -> None:
        """Raise DataMissing, with address and folder, unless the images are on this machine."""
        ...

    def data_digest(self) -> str:
        """Hash of the data's version for results, 64 hex digits."""
        ...


def names() -> list[str]:
    """Names of all data sets; "folder" represents "folder:PATH"."""
    return DATASETS.names()


def public_facts() -> dict[str, Facts]:
    """Facts, by name, of the data sets that can be downloaded or requested."""
    facts = {name: getattr(DATASETS.load(name), "FACTS", None) for name in DATASETS.names()}
    return {name: fact for name, fact in facts.items() if fact and fact.is_public}


def open_dataset(name: str, data_root: Path) -> Dataset:
    """Open a data set by name ("synthetic", "mvtec", "folder:PATH"), with its files below `data_root`."""
    kind, _, argument = name.partition(":")
    dataset: Dataset = DATASETS.load(kind).open_dataset(data_root, argument)
    return dataset
