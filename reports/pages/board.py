"""The leaderboard of a data set and split: methods by metric and group, with the protocol they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ltbench.reports.boards import Board
from ltbench.reports.cells import Footnotes, backbone_cell, method_cell, number_cell, seeds_cell
from ltbench.reports.details import Facts, table_details
from ltbench.reports.drawing import FIGURE_STYLE, class_sizes, inline
from ltbench.reports.entries import BASELINE, Entry
from ltbench.reports.export import table_files
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.notices import notices
from ltbench.reports.page import File, Page, Site
from ltbench.reports.writing import plural, short_digest
from ltbench.results.asked import ALL_ROWS
from ltbench.results.record import SplitRecord


@dataclass(frozen=True)
class Row:
    """A method's line as HTML fragments."""

    entry: Entry
    rank: str
    kind: str
    method: Markup
    seeds: Markup
    backbone: Markup
    cells: Markup


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    """The page, and each of its tables as CSV and LaTeX."""
    board = sheet.board
    runs = f"{board.name}.runs.html"
    notes = Footnotes("note-")
    yield site.page(
        PAGE.file(board.name),
        "board",
        PAGE,
        sheet,
        lede=lede(board),
        has_ranks=any(page.name == "ranks" for page in site.board_pages(sheet)),
        unmarked=[(table, column) for table in sheet.metrics for column in table.columns if column.note],
        runs=runs,
        tables=[*sheet.metrics, sheet.cost],
        first=sheet.metrics[0],
        rows=list(_rows(sheet, runs, notes)),
        notes=notes,
        details={board.name: details(sheet)},
        notices=notices(board),
        which_sizes=which_sizes(board),
        sizes=inline(class_sizes(sheet, board.seeds[0])),
        figure_style=FIGURE_STYLE,
        protocol=list(protocol(board)),
    )
    yield from table_files(sheet, with_categories=not site.is_large)


def details(sheet: Sheet) -> Facts:
    """Details of the leaderboard's scores, see `table_details`; columns of gaps between groups have none."""
    lines = sheet.metrics[0].lines
    by_table = [{line.entry.anchor: line for line in table.lines} for table in sheet.metrics]
    numbers = [[n for table in by_table for n in table[line.entry.anchor].numbers] for line in lines]
    keys = [column.key for table in sheet.metrics for column in table.columns]
    kept = [at for at, key in enumerate(keys) if not key.endswith(".gap")]
    kept_numbers = [[row[at] for at in kept] for row in numbers]
    return table_details([keys[at] for at in kept], lines, kept_numbers)


def _rows(sheet: Sheet, runs: str, notes: Footnotes) -> Iterator[Row]:
    tables = [*sheet.metrics, sheet.cost]
    by_entry = [{line.entry.anchor: line for line in table.lines} for table in tables]
    for line in sheet.metrics[0].lines:
        entry = line.entry
        href = f"{runs}#{entry.anchor}"
        cells = [
            number_cell(number, column, notes)
            for table, lines in zip(tables, by_entry, strict=True)
            for number, column in zip(lines[entry.anchor].numbers, table.columns, strict=True)
        ]
        yield Row(
            entry=entry,
            rank=line.rank,
            kind="baseline" if entry.is_baseline else "" if entry.is_ranked else "unranked",
            method=method_cell(entry),
            seeds=seeds_cell(entry, href),
            backbone=backbone_cell(entry),
            cells=Markup("").join(cells),
        )


def which_sizes(board: Board) -> str:
    """Whether the figure of one seed represents all."""
    seed, *others = board.seeds
    sizes = {other: {c: row.n_train_good for c, row in board.counts(other).items()} for other in board.seeds}
    same = all(sizes[other] == sizes[seed] for other in others)
    if same:
        return "The same for every seed." if others else f"Of seed {seed}."
    return f"Of seed {seed}; other seeds have other rare categories, which the page “Per class” lists."


def lede(board: Board) -> str:
    """One sentence of what is trained and judged."""
    split = board.splits[board.seeds[0]]
    rows = split.categories
    good = sum(row.n_train_good for row in rows)
    bad = sum(row.n_train_defects for row in rows)
    tested = sum(row.n_test for row in rows)
    groups = " and ".join(
        f"{len(split.groups[name])} {name}" for name in board.group_names if name in split.groups
    )
    share = f"{100 * bad / (good + bad):.1f} %" if good + bad else "0 %"
    return (
        f"{plural(len(rows), 'category', 'categories')}{f' ({groups})' if groups else ''}. Each method "
        f"learns from {good + bad:,} unlabelled images, {bad:,} of them defective ({share}), and is judged "
        f"on {tested:,}; {_tested_too(split)}; figures of seed {board.seeds[0]}."
    )


def _tested_too(split: SplitRecord) -> str:
    return (
        f"{split.overlap:,} of the defective ones are tested too"
        if split.overlap
        else "none of them is tested too"
    )


def protocol(board: Board) -> Iterator[tuple[str, Any]]:
    """Protocol behind all numbers of the board, as pairs of label and text."""
    policy = {"paper": "injected defects stay in the test set", "none": "injected defects leave the test set"}
    yield "Injected defects also tested", _by_seed(board, lambda split: f"{split.overlap:,}")
    yield "Overlap policy", f"{board.overlap_policy}: {policy.get(board.overlap_policy, 'see the record')}"
    yield "Split digest", _by_seed(board, lambda split: short_digest(split.digest), code=True)
    yield (
        "Split list",
        _by_seed(board, lambda split: f"{split.evidence}; {split.source or 'no source'}"),
    )
    for note in sorted({note for split in board.splits.values() for note in split.notes}):
        yield "Note", note
    yield "Evaluation view", Markup("<code>{}</code>").format(board.view)
    facts = board.dataset_facts
    yield "Data digest", Markup("<code>{}</code>").format(short_digest(facts.digest))
    yield "Data licence", facts.licence or "not recorded"
    yield "Seeds asked for", ", ".join(str(seed) for seed in board.asked)
    if board.suites:
        yield "Suites", ", ".join(suite.title for suite in board.suites)
    whole = [one for suite in board.suites for one in suite.settings if one.method == ALL_ROWS]
    for name, source in dict.fromkeys((one.field, one.source) for one in whole):
        yield f"Source of the {name}", source
    if not any(entry.method == BASELINE for entry in board.entries):
        yield "Baseline", "random scores have not been run"


def _by_seed(board: Board, tell: Any, code: bool = False) -> Markup:
    told = {seed: tell(split) for seed, split in sorted(board.splits.items())}
    form = "<code>{}</code>" if code else "{}"
    if len(set(told.values())) == 1:
        return Markup(form).format(next(iter(told.values())))
    return Markup("; ").join(Markup("seed {}: " + form).format(seed, text) for seed, text in told.items())


PAGE = Page("board", "Leaderboard", 10, build_board=build_board)
