"""Values that papers report for a board beside the measured ones, with their differences."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench.reports.comparison import CLOSE, NEAR, compare, has_published
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.page import File, Page, Site


def is_wanted(_site: Site, sheet: Sheet) -> bool:
    """Whether a paper has a number for a column of the board."""
    return has_published(sheet)


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    found = compare(sheet)
    verdicts = [pair.verdict for one in found for pair in one.pairs if pair.verdict]
    yield site.page(
        PAGE.file(sheet.board.name),
        "published",
        PAGE,
        sheet,
        measured=[one for one in found if one.entry is not None],
        others=[one for one in found if one.entry is None],
        counts=[(name, verdicts.count(name)) for name in ("equal", "near", "differs")],
        close=CLOSE,
        near=NEAR,
    )


PAGE = Page("published", "Published", 25, build_board=build_board, is_wanted=is_wanted)
