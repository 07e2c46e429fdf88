"""Notices above a board: missing results and results that are not comparable, with reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ltbench.number_ranges import seed_ranges
from ltbench.reports.boards import Board
from ltbench.reports.entries import BASELINE
from ltbench.reports.writing import plural


@dataclass(frozen=True)
class Notice:
    """A sentence, and what it is about."""

    kind: str
    """ "bad" for failures and refusals, "" for what is only missing."""
    text: str
    items: tuple[str, ...] = ()


def notices(board: Board) -> list[Notice]:
    """Failures and refusals first."""
    return [*_failures(board), *_apart(board), *_hidden(board), *_missing(board)]


def _failures(board: Board) -> Iterator[Notice]:
    failed = [
        f"{entry.label}, seed {seed}: {entry.cells[seed].record.error or entry.cells[seed].status}"
        for entry in board.entries
        for seed in entry.failed
    ]
    if failed:
        yield Notice(
            "bad", f"{plural(len(failed), 'run')} failed; their methods are not ranked.", tuple(failed)
        )


def _apart(board: Board) -> Iterator[Notice]:
    odd = [
        f"{one.cell.record.method.card.title}, seed {one.cell.record.identity.seed}: {one.why}"
        for one in board.odd
    ]
    if odd:
        yield Notice(
            "bad", f"{plural(len(odd), 'run')} of another protocol cannot stand in these tables.", tuple(odd)
        )


def _hidden(board: Board) -> Iterator[Notice]:
    """Defects of which the view shows nothing: their images are judged by what is not the defect."""
    losses = {
        (loss.category, cell.record.cell.view.text): loss
        for entry in board.entries
        for cell in entry.cells.values()
        for loss in cell.record.view_loss
        if loss.hidden_defects
    }
    if losses:
        count = sum(loss.hidden_defects for loss in losses.values())
        yield Notice(
            "bad",
            f"No pixel of {plural(count, 'defect')} is in the view: cut off at its border, or lost by "
            "resizing. These images count as defective and have no anomalous pixel.",
            tuple(
                f"{category}, view {view}: {loss.hidden_defects} of {loss.defects}"
                for (category, view), loss in sorted(losses.items())
            ),
        )


def _missing(board: Board) -> Iterator[Notice]:
    started = [
        f"{entry.label}, seed {seed}"
        for entry in board.entries
        for seed in entry.started
        if seed not in entry.cells
    ]
    started += [f"{cell.method} #{cell.config_digest[:6]}, seed {cell.seed}" for cell in board.started]
    if started:
        yield Notice("", f"{plural(len(started), 'run')} started and not finished.", tuple(started))
    known = {entry.method for entry in board.entries}
    never = sorted(
        {method for suite in board.suites for method in suite.methods}
        - known
        - {c.method for c in board.started}
    )
    if never:
        yield Notice("", f"Asked for by the suite and not run: {', '.join(never)}.")
    if BASELINE not in known:
        wanted = replace(board.entries[0].record.cell, method=BASELINE, fields={})
        command = wanted.command(seed_ranges(board.asked))
        yield Notice("", f"Random scores are missing on this board; “{command}” adds them.")
