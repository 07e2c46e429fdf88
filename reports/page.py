"""A page of the site, the files that it builds, and the site that it builds them from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ltbench.reports.leaderboard import Sheet
from ltbench.reports.material import Material
from ltbench.reports.render import Renderer


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
    """Name in file names: "methods"."""
    title: str
    """Title in the navigation."""
    order: int
    """Position in the navigation; smaller numbers come first."""
    build: Callable[[Site], Iterable[File]] | None = None
    """Set for a page of the whole site."""
    exists: Callable[[Site], bool] = lambda site: True  # noqa: ARG005
    """Whether the site has anything to show on the page."""
    build_board: Callable[[Site, Sheet], Iterable[File]] | None = None
    """Set for a page that each board has."""
    is_wanted: Callable[[Site, Sheet], bool] = lambda site, sheet: True  # noqa: ARG005
    """Whether a board has anything to show on the page."""

    templates: Path | None = None
    """Folder of its own templates, for a page that is not of this package; they may extend ours."""

    def file(self, board: str = "") -> str:
        """Name of its file: "methods.html", of a board "mvtec--pareto.classes.html"."""
        if not board:
            return f"{self.name}.html"
        return f"{board}.html" if self.name == "board" else f"{board}.{self.name}.html"


@dataclass(frozen=True, eq=False)
class Site:
    """The results that pages are built from, and the pages."""

    title: str
    material: Material
    sheets: Sequence[Sheet]
    renderer: Renderer
    pages: Sequence[Page]
    built: str
    """Day of the newest result: building twice gives the same bytes."""
    version: str
    warnings: list[str] = field(default_factory=list)
    is_large: bool = False
    """True if single categories are only in their tables and in summary.parquet: figures, panels and
    files of them would be most of the site."""
    _board_pages: dict[str, list[Page]] = field(default_factory=dict, repr=False)

    @cached_property
    def site_pages(self) -> list[Page]:
        return [page for page in self.pages if page.build is not None and page.exists(self)]

    def board_pages(self, sheet: Sheet) -> list[Page]:
        """Pages of a board that have something to show."""
        name = sheet.board.name
        if name not in self._board_pages:
            self._board_pages[name] = [
                page for page in self.pages if page.build_board is not None and page.is_wanted(self, sheet)
            ]
        return self._board_pages[name]

    def page(
        self, path: str, template: str, current: Page, sheet: Sheet | None = None, **values: object
    ) -> File:
        """A rendered page; `template` finds the site, its page and its board by these names."""
        html = self.renderer.render(
            template,
            site=self,
            page=current,
            sheet=sheet,
            board=sheet.board if sheet else None,
            board_pages=self.board_pages(sheet) if sheet else (),
            **values,
        )
        return File(path, html.encode())
