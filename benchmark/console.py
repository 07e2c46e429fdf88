"""Progress of running cells: bars on a terminal, one line per event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ltbench.results.status import Status

if TYPE_CHECKING:
    from ltbench.results.store import StoredCell

# Progress and words for people go to stderr; stdout carries data alone.
console = Console(stderr=True, highlight=False)

LOG_FILE = "log.txt"
NAMED_FAILURES = 3

_STYLE = {Status.OK: "green", Status.ERROR: "red", Status.TIMEOUT: "yellow", Status.OUT_OF_MEMORY: "yellow"}


@contextmanager
def watching(titles: Sequence[str], done_before: int = 0) -> Iterator[ConsoleWatcher]:
    """A watcher over cells with these titles; `done_before` more were found finished."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=True),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        overall = progress.add_task("[bold]cells", total=len(titles) + done_before, completed=done_before)
        yield ConsoleWatcher(titles, progress, overall)


class ConsoleWatcher:
    """Shows running cells as bars and finished ones as lines."""

    def __init__(self, titles: Sequence[str], progress: Progress, overall: TaskID) -> None:
        self._titles, self._progress, self._overall = titles, progress, overall
        self._tasks: dict[int, TaskID] = {}
        self._started: dict[int, float] = {}
        self._finished = 0

    def started(self, index: int) -> None:
        self._started[index] = time.monotonic()
        if not console.is_terminal:
            self._say("start", "dim", self._titles[index])
        self._tasks[index] = self._progress.add_task(f"  {self._titles[index]}", total=None)

    def progressed(self, index: int, stage: str, done: int, total: int) -> None:
        description = f"  {self._titles[index]} [dim]{stage}[/dim]"
        self._progress.update(
            self._tasks[index], description=description, completed=done, total=total or None
        )

    def finished(self, index: int, status: Status, error: str) -> None:
        self._finished += 1
        self._progress.remove_task(self._tasks.pop(index))
        self._progress.advance(self._overall)
        seconds = time.monotonic() - self._started.pop(index)
        line = f"{self._titles[index]} [dim]{seconds:.1f} s[/dim]"
        if error:
            # One line an event where a program may read it.
            line += f"\n        {escape(error)}" if console.is_terminal else f": {escape(error)}"
        self._say(str(status), _STYLE.get(status, "red"), line)

    def _say(self, event: str, style: str, line: str) -> None:
        clock = "" if console.is_terminal else time.strftime("%H:%M:%S ")
        self._progress.console.print(
            f"[dim]{clock}{self._finished:>3}/{len(self._titles)}[/dim] [{style}]{event:>7}[/{style}] {line}",
            soft_wrap=True,
        )


def warn(sentence: str) -> None:
    console.print(f"[yellow]warning:[/yellow] {sentence}", soft_wrap=True)


def would(sentence: str) -> None:
    """Print the step that a command with --dry-run leaves out."""
    console.print(f"[bold]would[/bold] {escape(sentence)}", soft_wrap=True)


def print_failures(failed: Sequence[StoredCell]) -> None:
    """Print failed cells by reason: message, number of cells, and path of a log."""
    reasons: dict[tuple[str, str], list[StoredCell]] = {}
    for cell in failed:
        reasons.setdefault((str(cell.status), cell.record.error), []).append(cell)
    for (status, error), cells in reasons.items():
        style = _STYLE.get(Status(status), "red")
        console.print(f"[{style}]{status}[/{style}] {escape(error)}", soft_wrap=True)
        for cell in cells[:NAMED_FAILURES]:
            same = cell.record.identity
            name = f"{same.dataset} {same.split} seed {same.seed} {same.method}"
            console.print(f"  {name} [dim]{cell.folder / LOG_FILE}[/dim]", soft_wrap=True)
        if len(cells) > NAMED_FAILURES:
            console.print(f"  and {len(cells) - NAMED_FAILURES} more")
