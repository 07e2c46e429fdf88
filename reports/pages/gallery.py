"""Images with outlined defects and each method's anomaly map, where the data licence allows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ltbench.reports import overlays
from ltbench.reports.boards import Board
from ltbench.reports.entries import Entry
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.page import File, Page, Site
from ltbench.results.places import Place
from ltbench.results.status import Status
from ltbench.results.store import picture_stem, slug


@dataclass(frozen=True)
class Picture:
    """One image of a category."""

    key: str
    category: str
    defect: str
    """ "" = good."""


@dataclass(frozen=True)
class Maps:
    """A method's patch score grids by key, and how they become maps."""

    entry: Entry
    seed: int
    grids: Mapping[str, np.ndarray]
    post: Mapping[str, Any] | None


def is_wanted(site: Site, sheet: Sheet) -> bool:
    """True if the licence allows it and a record names a picture that exists."""
    folder = _folder(site, sheet.board)
    return bool(sheet.board.dataset_facts.gallery_allowed) and any(
        _stored(folder, sheet.board, picture.key).exists() for picture in _pictures(sheet.board)
    )


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    board = sheet.board
    folder = _folder(site, board)
    pictures = [one for one in _pictures(board) if _stored(folder, board, one.key).exists()]
    methods = [maps for maps in (_maps(line.entry) for line in sheet.metrics[0].lines) if maps is not None]
    sections: dict[str, list[Picture]] = {}
    for picture in sorted(
        pictures, key=lambda one: (board.categories.index(one.category), one.defect == "", one.key)
    ):
        sections.setdefault(picture.category, []).append(picture)
    shown: dict[tuple[str, str], str] = {}
    for shots in sections.values():
        for file, at in _files(board, folder, shots, methods):
            shown[at] = file.path
            yield file
    yield site.page(
        PAGE.file(board.name),
        "gallery",
        PAGE,
        sheet,
        sections=list(sections.items()),
        methods=methods,
        shown=shown,
        side=overlays.SIDE,
    )


def _folder(site: Site, board: Board) -> Place:
    return site.material.root / slug(board.dataset) / "gallery"


def _stored(folder: Place, board: Board, key: str, end: str = ".jpg") -> Place:
    return folder / f"{picture_stem(key, board.view)}{end}"


def _pictures(board: Board) -> list[Picture]:
    """Pictures of the first seed's records: other seeds have other test sets."""
    found: dict[str, Picture] = {}
    for entry in board.entries:
        for fact in entry.record.gallery:
            found.setdefault(fact.key, Picture(fact.key, fact.category, fact.defect))
    return [picture for picture in found.values() if picture.category in board.categories]


def _maps(entry: Entry) -> Maps | None:
    for seed, cell in sorted(entry.cells.items()):
        if cell.status is Status.OK and (grids := cell.gallery()):
            return Maps(entry, seed, grids, cell.record.map_post)
    return None


def _files(
    board: Board, folder: Place, pictures: Sequence[Picture], methods: Sequence[Maps]
) -> Iterator[tuple[File, tuple[str, str]]]:
    """Each image, and each method's map over it; (method anchor or "", key) is its place on the page."""
    images = {one.key: overlays.read_picture(_stored(folder, board, one.key)) for one in pictures}
    outlines = {
        one.key: overlays.read_outline(_stored(folder, board, one.key, "-mask.png")) for one in pictures
    }
    size = overlays.picture_size(_stored(folder, board, pictures[0].key))
    # Boards of one data set share images, and the same bytes are written again.
    for key, image in images.items():
        yield (
            File(
                f"gallery/{slug(board.dataset)}/{picture_stem(key, board.view)}.jpg",
                overlays.plain(image, outlines[key]),
            ),
            ("", key),
        )
    for method in methods:
        keys = [key for key in images if key in method.grids]
        if not keys:
            continue
        maps = overlays.maps_of(np.stack([method.grids[key] for key in keys]), size, method.post)
        low, high = overlays.scale(maps)
        for key, scores in zip(keys, maps, strict=True):
            jpeg = overlays.overlay(images[key], scores, low, high, outlines[key])
            yield (
                File(f"gallery/{board.name}/{method.entry.anchor}/{key}.jpg", jpeg),
                (method.entry.anchor, key),
            )


PAGE = Page("gallery", "Gallery", 30, build_board=build_board, is_wanted=is_wanted)
