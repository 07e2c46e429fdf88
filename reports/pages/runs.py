"""Run records of a board: parameters, versions, digests, time, command and log of every cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ltbench.number_ranges import seed_ranges
from ltbench.reports.entries import Entry
from ltbench.reports.feature_cache import cache_facts
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.page import File, Page, Site
from ltbench.reports.writing import amount, settings, short_digest
from ltbench.results.cell_record import CellRecord
from ltbench.results.record import EnvironmentRecord
from ltbench.results.status import Status
from ltbench.results.store import StoredCell

LOG_LINES = 40
"""Last lines of the log shown for a failed run; finished runs show none."""


@dataclass(frozen=True)
class Run:
    """A cell as a line."""

    seed: int
    status: str
    error: str
    log: str
    costs: tuple[str, ...]
    cell: CellRecord
    started: str
    split_digest: str
    machine: int
    """Number of its environment in the page's list."""
    counts: bool
    """Whether the run counts in means, i.e. the suites request its seed."""

    @property
    def command(self) -> str:
        """The command line that makes the run again."""
        return self.cell.command()


@dataclass(frozen=True)
class Method:
    """An entry with its runs."""

    entry: Entry
    fields: str
    runs: tuple[Run, ...]
    commands: tuple[str, ...]
    """Commands that repeat the runs: one line for all seeds if only the seed differs."""


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    machines: list[EnvironmentRecord] = []
    methods = [_method(entry, machines) for entry in sheet.board.entries]
    odd = [
        (one.why, one.cell.record.method, _run(one.cell, machines, counts=False)) for one in sheet.board.odd
    ]
    yield site.page(
        PAGE.file(sheet.board.name),
        "runs",
        PAGE,
        sheet,
        methods=methods,
        odd=odd,
        cache=cache_facts(site.material.root, _cells(sheet)),
        machines=[(number, list(_machine(machine))) for number, machine in enumerate(machines, start=1)],
    )


def _cells(sheet: Sheet) -> list[StoredCell]:
    entries = [cell for entry in sheet.board.entries for cell in entry.cells.values()]
    return [*entries, *(one.cell for one in sheet.board.odd)]


def _method(entry: Entry, machines: list[EnvironmentRecord]) -> Method:
    runs = tuple(
        _run(cell, machines, counts=seed in entry.asked) for seed, cell in sorted(entry.cells.items())
    )
    return Method(entry, settings(entry.facts.fields), runs, _commands(runs))


def _commands(runs: Sequence[Run]) -> tuple[str, ...]:
    if len({run.cell.command("SEEDS") for run in runs}) == 1:
        return (runs[0].cell.command(seed_ranges([run.seed for run in runs])),)
    return tuple(run.command for run in runs)


def _run(cell: StoredCell, machines: list[EnvironmentRecord], counts: bool) -> Run:
    record = cell.record
    costs = {**record.figures, **vars(record.timing)}
    if record.environment not in machines:
        machines.append(record.environment)
    failed = cell.status is not Status.OK
    return Run(
        seed=record.identity.seed,
        status=str(cell.status),
        error=record.error,
        log="\n".join(record.log_tail.splitlines()[-LOG_LINES:]) if failed else "",
        costs=tuple(
            _cost(costs.get(key))
            for key in ("fit_seconds", "score_seconds", "evaluate_seconds", "peak_rss_mb", "peak_vram_mb")
        ),
        cell=record.cell,
        started=(record.timing.started_at or "")[:16].replace("T", " "),
        split_digest=short_digest(record.identity.split_digest),
        machine=machines.index(record.environment) + 1,
        counts=counts,
    )


def _cost(value: Any) -> str:
    return "" if value is None else amount(float(value))


def _machine(environment: EnvironmentRecord) -> Iterator[tuple[str, str]]:
    for name in ("host", "system", "cpu", "cores", "memory_gib", "accelerator", "python"):
        if (value := getattr(environment, name)) not in (None, ""):
            yield name.replace("_", " "), str(value)
    if commit := environment.git_commit:
        yield "commit", commit[:12] + (" with uncommitted changes" if environment.git_dirty else "")
    yield "packages", ", ".join(f"{name} {number}" for name, number in sorted(environment.packages.items()))


PAGE = Page("runs", "Runs", 40, build_board=build_board)
