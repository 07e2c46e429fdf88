"""The static site: every page from a results folder, readable from a file, a zip or a web server."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ltbench.reports import boards as board_model
from ltbench.reports import material as material_model
from ltbench.reports.leaderboard import sheet
from ltbench.reports.page import File, Site
from ltbench.reports.pages import pages
from ltbench.reports.render import SCRIPTS, Renderer
from ltbench.reports.uncertainty import image_ends
from ltbench.results.errors import ResultsError
from ltbench.results.places import Place

DEFAULT_TITLE = "Long-tail anomaly detection benchmark"
MARKER = ".ltbench-site"
"""Lies in every folder that `build_site` made, so that no other folder is ever emptied."""
LARGE = 40_000
"""Values of a results folder from which on a site is large, see `Site.is_large`."""

Progress = Callable[[str, int, int], None]
"""Called with (what is built, number done, number of all)."""


@dataclass(frozen=True)
class SiteReport:
    """Size of the built site, and warnings about missing parts."""

    pages: int
    """HTML files."""
    bytes: int
    """Total size of all files."""
    warnings: tuple[str, ...]
    """Parts missing from the site, one sentence each."""


def build_site(
    results_root: Place,
    out: Path,
    *,
    title: str | None = None,
    progress: Progress | None = None,
) -> SiteReport:
    """Write the site of all results below `results_root` into `out`, whose earlier site is replaced.

    Raises ResultsError where results are damaged, or where `out` holds files that are no site.
    """
    site = _site(results_root, title or DEFAULT_TITLE, progress)
    _empty(out)
    steps: list[tuple[str, Callable[[], object]]] = []
    written: dict[str, int] = {}

    def write(file: File) -> None:
        path = out / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        # Boards of one data set share pictures: the same file may come twice.
        written[file.path] = len(file.content)

    static = Path(__file__).parent / "static"
    for name in ("site.css", "theme.js"):
        write(File(f"static/{name}", (static / name).read_bytes()))
    # One file: a line less in every page for each.
    write(File("static/site.js", b"".join((static / name).read_bytes() for name in SCRIPTS)))
    for page in site.pages:
        if page.build is not None and page in site.site_pages:
            steps.append((page.title, _writes(page.build, site, write=write)))
        for one in site.sheets:
            if page.build_board is not None and page in site.board_pages(one):
                steps.append(
                    (f"{one.board.name} {page.title}", _writes(page.build_board, site, one, write=write))
                )
    for number, (what, step) in enumerate(steps):
        if progress is not None:
            progress(what, number, len(steps))
        step()
    if progress is not None:
        progress("", len(steps), len(steps))
    return SiteReport(
        pages=sum(path.endswith(".html") for path in written),
        bytes=sum(written.values()),
        warnings=tuple(site.warnings),
    )


def _writes(
    build: Callable[..., object], *arguments: object, write: Callable[[File], None]
) -> Callable[[], None]:
    def step() -> None:
        for file in build(*arguments):  # type: ignore[attr-defined]
            write(file)

    return step


def _site(results_root: Place, title: str, progress: Progress | None) -> Site:
    found = material_model.read(results_root)
    told = None if progress is None else lambda done, of: progress("resampling test images", done, of)
    ends = image_ends(results_root, found.cells, told)
    sheets = [sheet(board, ends) for board in board_model.boards(found)]
    started = [(cell.record.timing.started_at or "")[:10] for cell in found.cells]
    try:
        program = version("ltbench")
    except PackageNotFoundError:
        program = ""
    all_pages = pages()
    return Site(
        title=title,
        material=found,
        sheets=sheets,
        renderer=Renderer([page.templates for page in all_pages if page.templates]),
        pages=all_pages,
        built=max(started, default=""),
        version=program,
        is_large=len(found.values) > LARGE,
        warnings=[
            f"'{odd.cell.folder}' stands apart from the tables of {one.board.name}: {odd.why}"
            for one in sheets
            for odd in one.board.odd
        ],
    )


def _empty(out: Path) -> None:
    """Remove the site in `out`; refuse a folder with any other content."""
    if out.exists() and not out.is_dir():
        raise ResultsError(f"'{out}' is a file: choose a folder with --out")
    if out.exists() and any(out.iterdir()) and not (out / MARKER).exists():
        raise ResultsError(
            f"'{out}' holds files that no report made: choose an empty or new folder with --out, "
            "or empty this one"
        )
    try:
        if out.exists():
            shutil.rmtree(out)
        out.mkdir(parents=True)
        (out / MARKER).write_text(
            f"made {datetime.now(UTC):%Y-%m-%d} by ltbench report; replaced by its next run\n"
        )
    except OSError as error:
        raise ResultsError(
            f"cannot write '{out}' ({error.strerror or error}): choose a writable folder with --out"
        ) from error
