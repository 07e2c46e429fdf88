"""Pages of the site: the folder is the registry, one module a page, each with one `PAGE`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.leaderboard import Sheet
    from reports.site import Site


@dataclass(frozen=True)
class File:
    """A file of the site."""

    path: str
    """Relative to the site's folder, "/" separators."""
    content: bytes


@dataclass(frozen=True)
class Page:
    """A page of the whole site, or one per board; builds its files from results alone."""

    name: str
    """As in file names: "methods"."""
    title: str
    """As in the navigation."""
    order: int
    """Smaller ones stand first."""
    build: Callable[[Site], Iterable[File]] | None = None
    """Set for a page of the whole site."""
    exists: Callable[[Site], bool] = lambda site: True  # noqa: ARG005
    """False where the whole site has nothing to show on the page."""
    build_board: Callable[[Site, Sheet], Iterable[File]] | None = None
    """Set for a page that each board has."""
    is_wanted: Callable[[Site, Sheet], bool] = lambda site, sheet: True  # noqa: ARG005
    """False where a board has nothing to show on the page."""

    def file(self, board: str = "") -> str:
        """Name of its file: "methods.html", of a board "mvtec--pareto.classes.html"."""
        if not board:
            return f"{self.name}.html"
        return f"{board}.html" if self.name == "board" else f"{board}.{self.name}.html"


def pages() -> list[Page]:
    """All pages of the folder by order."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    found: list[Page] = [importlib.import_module(f"{__name__}.{name}").PAGE for name in names]
    return sorted(found, key=lambda page: (page.order, page.name))
