"""Name, rights and origin of a data set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file that a data set is handed out in."""

    name: str
    addresses: tuple[str, ...]
    sha256: str = ""
    """"" where the publisher's digest is not known to us."""
    size: int | None = None
    """Bytes, where known."""


@dataclass(frozen=True)
class Facts:
    """Facts of a data set besides its images; `ltbench.splits.datasets.Dataset` explains the fields."""

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
    archives: tuple[Archive, ...] = ()
    """Files to fetch, where the licence lets a program do that once a person has accepted it."""
    instructions: str = ""
    """How a person gets the data, where only a person can: "fill in the form on its page, download ..."."""
    image_count: int = 0
    """Images of the whole data set as its authors count them; 0 = unknown."""

    @property
    def is_public(self) -> bool:
        """Whether there is a way to get it."""
        return bool(self.archives or self.instructions)
