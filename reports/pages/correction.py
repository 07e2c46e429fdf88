"""Label correction: how early injected defects appear among the ranked training images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ltbench.reports import overlays
from ltbench.reports.boards import Board
from ltbench.reports.entries import Entry
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.page import File, Page, Site
from ltbench.results.places import Place
from ltbench.results.ranking import MEASURES, has_ranking, label_correction, ranking, summary
from ltbench.results.store import StoredCell, picture_stem, slug

TITLES = {"auprc": "AUPRC", "depth": "Inspection depth"}
PICTURES = 6
"""Images of a category that are shown, the most suspicious first."""


@dataclass(frozen=True)
class Value:
    """Mean and spread of a measure over seeds, in percent."""

    mean: float | None
    spread: float | None
    """Sample standard deviation; None below two values."""

    @property
    def text(self) -> str:
        return "" if self.mean is None else f"{self.mean:.1f}"

    @property
    def spread_text(self) -> str:
        return "" if self.spread is None else f"{self.spread:.1f}"


@dataclass(frozen=True)
class Row:
    """A method whose runs ranked their training images."""

    entry: Entry
    seeds: tuple[int, ...]
    own: bool
    """Ranked by what the method offers for it, else by the scores of its own training images."""
    overall: dict[str, Value]
    """Mean and spread over categories by measure, both averaged over seeds."""
    by_category: dict[tuple[str, str], Value]
    """Mean and spread over seeds by (measure, category); categories without injected defects are absent."""


@dataclass(frozen=True)
class Shot:
    """A training image near the top of a ranking."""

    path: str
    place: int
    defect: str
    """ "" = good."""


def is_wanted(_site: Site, sheet: Sheet) -> bool:
    """True if a run of the board ranked its training images and there was something to be found."""
    return any(
        _cells(entry) and _row(entry).overall["auprc"].mean is not None for entry in sheet.board.entries
    )


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    board = sheet.board
    rows = [_row(entry) for entry in board.entries if _cells(entry)]
    # In percent; the more is found early, the higher.
    rows.sort(key=lambda row: -(row.overall["auprc"].mean or 0))
    shots: dict[tuple[str, str], list[Shot]] = {}
    if board.dataset_facts.gallery_allowed:
        for row in rows:
            for category, shot, file in _shots(site, board, row):
                shots.setdefault((row.entry.anchor, category), []).append(shot)
                yield file
    yield site.page(
        PAGE.file(board.name),
        "correction",
        PAGE,
        sheet,
        rows=rows,
        measures=[(measure, TITLES[measure]) for measure in MEASURES],
        categories=[
            name for name in board.categories if any((MEASURES[0], name) in row.by_category for row in rows)
        ],
        floors=_floors(rows),
        shots=shots,
        pictured=[name for name in board.categories if any(category == name for _, category in shots)],
        side=overlays.SIDE,
    )


def _cells(entry: Entry) -> dict[int, StoredCell]:
    """Finished cells with a ranking, by seed."""
    return {seed: entry.cells[seed] for seed in entry.finished if has_ranking(entry.cells[seed])}


def _row(entry: Entry) -> Row:
    cells = _cells(entry)
    tables = [label_correction(cell).set_index("category") for cell in cells.values()]
    facts = [summary(table) for table in tables]
    overall = {
        measure: Value(
            _mean([fact[f"{measure}_mean"] for fact in facts]),
            _mean([fact[f"{measure}_std"] for fact in facts]),
        )
        for measure in MEASURES
    }
    joined = pd.concat(tables)
    by_category = {
        (measure, str(category)): Value(100 * float(values.mean()), _spread(values))
        for measure in MEASURES
        for category, values in joined[measure].dropna().groupby(level=0)
    }
    ways = {(cell.record.label_correction or {}).get("ranked_by") for cell in cells.values()}
    return Row(entry, tuple(cells), ways == {"rank"}, overall, by_category)


def _floors(rows: Sequence[Row]) -> Value:
    """Share of the images that are injected, per category: AUPRC by chance and the least possible depth."""
    cells = [cell for row in rows[:1] for cell in _cells(row.entry).values()]
    shares = [label_correction(cell)["auprc_floor"].dropna() for cell in cells]
    return Value(_mean([float(share.mean()) for share in shares if len(share)]), None)


def _shots(site: Site, board: Board, row: Row) -> Iterator[tuple[str, Shot, File]]:
    """(category, image, its file): the top of the first seed's ranking, as far as pictures are stored."""
    folder = site.material.root / slug(board.dataset) / "gallery"
    first = _cells(row.entry)[row.seeds[0]]
    top = ranking(first)
    for image in top[top["place"] <= PICTURES].itertuples():
        stem = picture_stem(str(image.key), board.view)
        if not (folder / f"{stem}.jpg").exists():
            continue
        file = File(f"gallery/{slug(board.dataset)}/{stem}.jpg", _jpeg(folder, stem))
        yield str(image.category), Shot(file.path, int(image.place), str(image.defect)), file


def _jpeg(folder: Place, stem: str) -> bytes:
    """The same bytes as in the gallery, which may show the image too."""
    outline = overlays.read_outline(folder / f"{stem}-mask.png")
    return overlays.plain(overlays.read_picture(folder / f"{stem}.jpg"), outline)


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean in percent; None if a value is missing."""
    known = [value for value in values if value is not None]
    return 100 * float(np.mean(known)) if known and len(known) == len(values) else None


def _spread(values: pd.Series) -> float | None:
    return 100 * float(values.std(ddof=1)) if len(values) > 1 else None


PAGE = Page("correction", "Label correction", 25, build_board=build_board, is_wanted=is_wanted)
