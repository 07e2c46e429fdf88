"""Figures of a board: standings, rare against frequent categories, size, ranks, cost."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from ltbench.reports.drawing import FIGURE_STYLE, board_figures, inline
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.page import File, Page, Site


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    groups: dict[str, list[tuple[str, Markup]]] = {}
    for figure in board_figures(sheet, with_categories=not site.is_large):
        groups.setdefault(figure.metric, []).append((figure.name, inline(figure.svg)))
    yield site.page(
        PAGE.file(sheet.board.name),
        "figures",
        PAGE,
        sheet,
        groups=list(groups.items()),
        figure_style=FIGURE_STYLE,
    )


def is_wanted(_site: Site, sheet: Sheet) -> bool:
    """Whether the board has any figure."""
    return any(True for _ in board_figures(sheet))


PAGE = Page("figures", "Figures", 18, build_board=build_board, is_wanted=is_wanted)
