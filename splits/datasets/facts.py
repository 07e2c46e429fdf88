"""What is known of a data set besides its images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Name, rights and origin of a data set; `ltbench.splits.datasets.Dataset` explains the fields."""

    name: str
    title: str
    licence: str = ""
    citation: str = ""
    address: str = ""
    size: str = ""
    default_contamination: float = 0.10
    gallery_allowed: bool = False
    folders: tuple[str, ...] = ()
    """Names under which people keep it in their data folder, the first one being the one we advise."""
    example: str = ""
    """A file that exists, relative to the data set's root, where the unpacking was right."""
    shareable: bool = False
    """True where the licence allows to fetch and pass on the images automatically."""
