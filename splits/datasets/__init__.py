"""Data sets by name: modules of this folder, of installed packages or of a person's folder."""

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
"""Each is a module with `open_dataset(data_root, argument)`; one that can be fetched has `FACTS` too."""


class Dataset(PixelSource, Protocol):
    """Images with labels, and where they come from."""

    name: str
    """As typed by a person and as it stands on a result: "mvtec", "folder:parts"."""
    title: str
    licence: str
    citation: str
    """BibTeX entry, "" for a person's own folder."""
    address: str
    """Where a person gets the data."""
    size: str
    """Download size for people, e.g. "5.3 GB"; "" if unknown."""
    default_contamination: float
    """Share of a head class' kept normals that recipes inject as defects by default (0.10, VisA 0.05)."""
    gallery_allowed: bool
    """True where the licence allows to show images on a public page."""

    def images(self) -> tuple[LabelledImage, ...]:
        """All images, in the data set's own listing order; from an inventory where no image is at hand."""
        ...

    def mask(self, image: LabelledImage) -> Pixels | None:
        """uint8 (H, W), non-zero where defective; None where the image has no mask. Good images have none."""
        ...

    def require_pixels(self) -> None:
        """Raise DataMissing, with address and place, unless the images are on this machine."""
        ...

    def data_digest(self) -> str:
        """Hash that identifies the data version on a result row, 64 hex digits."""
        ...


def names() -> list[str]:
    """Names of all data sets; `folder` stands for `folder:PATH`."""
    return DATASETS.names()


def public_facts() -> dict[str, Facts]:
    """Facts of the data sets that are handed out, by program or to persons, by name."""
    facts = {name: getattr(DATASETS.load(name), "FACTS", None) for name in DATASETS.names()}
    return {name: fact for name, fact in facts.items() if fact and fact.is_public}


def open_dataset(name: str, data_root: Path) -> Dataset:
    """The data set `name` ("synthetic", "mvtec", "folder:PATH"), its files looked for in `data_root`."""
    kind, _, argument = name.partition(":")
    dataset: Dataset = DATASETS.load(kind).open_dataset(data_root, argument)
    return dataset
