"""Lists of images of other tools, as paths before they are matched with a data set."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Listing:
    """Paths of a list in their written order, with its detected format."""

    format: str
    """"tailedcore", "json-lines", "json", "csv", "paths", "manifest" or "tree"."""
    source: str
    """File or folder of the list, for messages."""
    train: tuple[str, ...] = ()
    test: tuple[str, ...] | None = None
    """Test paths; None if the list does not name any."""
    pruned: tuple[str, ...] | None = None
    """Good images to remove, in TailedCore's format only; `train` then holds only the injected images."""
    notes: tuple[str, ...] = field(default=())
