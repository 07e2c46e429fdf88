"""Name, licence and origin of a data set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """Downloadable file of a data set."""

    name: str
    addresses: tuple[str, ...]
    sha256: str = ""
    """Publisher's digest; "" if unknown."""
    size: int | None = None
    """Size in bytes, if known."""


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
    """Usual names of its folder below the data root, the recommended one first."""
    example: str = ""
    """File, relative to the root, that exists after correct unpacking."""
    archives: tuple[Archive, ...] = ()
    """Files to download, if the licence allows that after the user has accepted it."""
    instructions: str = ""
    """Instructions for obtaining the data by hand, e.g. "fill in the form on its page, download ..."."""
    image_count: int = 0
    """Number of images according to the authors; 0 = unknown."""

    @property
    def is_public(self) -> bool:
        """Whether the data set can be downloaded or requested."""
        return bool(self.archives or self.instructions)
