"""`ltbench status`: what is done, running, failed or missing, how fast it goes, when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.forecasts import duration
from ltbench.benchmark.commands.output import print_json, print_table
from ltbench.benchmark.console import NAMED_FAILURES, console

if TYPE_CHECKING:
    from ltbench.results.survey import Finished, Survey, Surveyor

LEAST_SECONDS = 0.2
STATES = ("ok", "running", "missing", "error", "timeout", "oom", "killed")
STYLES = {"ok": "green", "running": "cyan", "missing": "dim"}


def status(
    results: options.ResultsOption = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Go on until nothing is missing or running; Ctrl-C leaves."),
    ] = False,
    every: Annotated[float, typer.Option("--every", help="Seconds between two looks.")] = 2.0,
    as_json: options.JsonOption = False,
) -> None:
    """Count cells by status against the suites' requests, with rate, time left and errors of failures."""
    from ltbench.results.survey import Surveyor

    settings = options.settings(results=results)
    surveyor = Surveyor(settings.results, journals=settings.local(settings.results))
    if watch:
        follow(surveyor, max(every, LEAST_SECONDS), time.sleep)
        return
    survey = surveyor.look()
    if as_json:
        print_json("status", facts(survey))
        return
    columns = _columns(survey)
    print_table(columns, _rows(survey, columns), title=str(surveyor.root))
    for line in sentences(survey):
        console.print(line, soft_wrap=True)
    for line in failures(surveyor, survey):
        console.print(line, soft_wrap=True)


def follow(surveyor: Surveyor, every: float, sleep: Callable[[float], None]) -> None:
    """Look again and again: a live table on a terminal, one line per event elsewhere."""
    if not console.is_terminal:
        _follow_lines(surveyor, every, sleep)
        return
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            survey = surveyor.look()
            live.update(_screen(surveyor, survey))
            if is_over(survey):
                return
            sleep(every)


def is_over(survey: Survey) -> bool:
    """Whether no requested cell is missing and none is running."""
    return not survey.missing and not any(cell.alive for cell in survey.running)


def _follow_lines(surveyor: Surveyor, every: float, sleep: Callable[[float], None]) -> None:
    survey = surveyor.look()
    for line in sentences(survey):
        console.print(line, soft_wrap=True)
    while not is_over(survey):
        sleep(every)
        before, survey = survey, surveyor.look()
        for line in events(before, survey):
            console.print(line, soft_wrap=True)


def events(before: Survey, after: Survey) -> list[str]:
    """Changes between two surveys of the cells, one line each: started, finished, fallen silent."""
    known = {(cell.name, cell.ended) for cell in before.finished}
    fresh = [cell for cell in after.finished if (cell.name, cell.ended) not in known]
    ran = {cell.name for cell in before.running if cell.alive}
    runs = {cell.name for cell in after.running if cell.alive}
    gone = {cell.name for cell in after.running if not cell.alive} & ran
    stamp = time.strftime("%H:%M:%S", time.localtime(after.at))
    lines = [f"{stamp} started {escape(name)}" for name in sorted(runs - ran)]
    left = after.seconds_left()
    for cell in sorted(fresh, key=lambda one: one.ended):
        took = "" if cell.seconds is None else f" in {duration(cell.seconds)}"
        why = f": {escape(cell.error)}" if cell.error else ""
        lines.append(f"{stamp} {cell.status} {escape(cell.name)}{took}{why}")
    lines += [f"{stamp} silent {escape(name)}" for name in sorted(gone)]
    if fresh and after.missing and left is not None:
        lines.append(f"{stamp} {after.waiting} missing, about {duration(left)} left")
    return lines


def facts(survey: Survey) -> dict[str, Any]:
    """The JSON document's content."""
    return {
        "counts": [
            {"dataset": dataset, "split": split, "method": method, "status": state, "cells": count}
            for (dataset, split, method), states in survey.counts().items()
            for state, count in sorted(states.items())
        ],
        "cells_per_hour": survey.cells_per_hour(),
        "seconds_left": survey.seconds_left(),
        "missing": survey.waiting,
        "running": [vars(cell) for cell in survey.running if cell.alive],
        "failed": [{"cell": cell.name, "status": cell.status, "error": cell.error} for cell in survey.failed],
        "unfinished": [cell.name for cell in survey.running if not cell.alive],
    }


def sentences(survey: Survey) -> list[str]:
    """Totals, rate and time left, what runs, what was left half."""
    alive = [cell for cell in survey.running if cell.alive]
    done = len(survey.finished)
    words = f"{done - len(survey.failed)} ok, {len(survey.failed)} failed, {len(alive)} running"
    words += f", {survey.waiting} missing" if survey.asked else ""
    rate, left = survey.cells_per_hour(), survey.seconds_left()
    if rate is not None:
        words += f"; {rate:.0f} cells an hour" if rate >= 10 else f"; {rate:.1f} cells an hour"
    if survey.missing and left is not None:
        words += f"; about {duration(left)} left" if alive else f"; about {duration(left)} of work left"
    lines = [words]
    for cell in survey.running:
        if cell.alive:
            lines.append(f"[cyan]running[/cyan] {escape(cell.name)} [dim]{escape(cell.stage)}[/dim]")
        else:
            lines.append(
                f"[yellow]started, not finished[/yellow] {escape(cell.name)} "
                f"[dim]silent for {duration(cell.silent)}[/dim]"
            )
    return lines


def failures(surveyor: Surveyor, survey: Survey) -> list[str]:
    """Failed cells by reason, each reason with the last lines that one of its cells printed."""
    from ltbench.results.survey import log_tail

    reasons: dict[tuple[str, str], list[Finished]] = {}
    for cell in survey.failed:
        reasons.setdefault((str(cell.status), cell.error), []).append(cell)
    lines = []
    for (state, error), cells in reasons.items():
        lines.append(f"[red]{state}[/red] {escape(error)}")
        lines += [f"  {escape(cell.name)}" for cell in cells[:NAMED_FAILURES]]
        lines += [f"  and {len(cells) - NAMED_FAILURES} more"] if len(cells) > NAMED_FAILURES else []
        tail = log_tail(surveyor.root, cells[0])
        lines += [f"    [dim]{escape(line)}[/dim]" for line in tail.splitlines()]
    return lines


def _columns(survey: Survey) -> list[str]:
    seen = {state for states in survey.counts().values() for state in states}
    return ["dataset", "split", "method", *(state for state in STATES if state in seen)]


def _rows(survey: Survey, columns: list[str]) -> list[list[object]]:
    return [
        [*key, *(states[state] or "" for state in columns[3:])] for key, states in survey.counts().items()
    ]


def _screen(surveyor: Surveyor, survey: Survey) -> Group:
    columns = _columns(survey)
    table = Table(title=str(surveyor.root), title_justify="left", box=None, pad_edge=False)
    for column in columns:
        justify: Any = "left" if column in columns[:3] else "right"
        table.add_column(
            column, style=STYLES.get(column, "red") if justify == "right" else "", justify=justify
        )
    rows = _rows(survey, columns)
    # The rows that are still moving, where not all fit.
    room = max(3, console.height - 8)
    moving = sorted(rows, key=lambda row: all(column != "missing" or not value for column, value in
                                              zip(columns, row, strict=True)))  # fmt: skip
    for row in rows if len(rows) <= room else moving[:room]:
        table.add_row(*map(str, row))
    hidden = [Text(f"... {len(rows) - room} more rows", style="dim")] if len(rows) > room else []
    return Group(table, *hidden, *(Text.from_markup(line) for line in sentences(survey)))
