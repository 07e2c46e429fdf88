"""Lists of images as other people write them: what a file says, before any of it is understood."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Listing:
    """Paths as written in a file, in its order, and which format it turned out to have."""

    format: str
    """"tailedcore", "json-lines", "json", "csv", "paths", "manifest" or "tree"."""
    source: str
    """The file or folder, for messages."""
    train: tuple[str, ...] = ()
    test: tuple[str, ...] | None = None
    """None where nothing is said about testing."""
    pruned: tuple[str, ...] | None = None
    """TailedCore only: the good images that are taken out; `train` then holds the injected ones alone."""
    notes: tuple[str, ...] = field(default=())
