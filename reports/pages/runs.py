"""Run records of a board: parameters, versions, digests, time, command and log of every cell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ltbench.reports.entries import Entry
from ltbench.reports.feature_cache import cache_facts
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.page import File, Page, Site
from ltbench.reports.writing import amount, settings, short_digest
from ltbench.results.status import Status
from ltbench.results.store import StoredCell

LOG_LINES = 40
"""Of a failed run; one that ended well is not explained by its log."""


@dataclass(frozen=True)
class Run:
    """A cell as a line."""

    seed: int
    status: str
    error: str
    log: str
    costs: tuple[str, ...]
    command: str
    started: str
    split_digest: str
    machine: int
    """Number of its environment in the page's list."""
    counts: bool
    """False where the suites do not ask for this seed."""


@dataclass(frozen=True)
class Method:
    """An entry with its runs."""

    entry: Entry
    fields: str
    runs: tuple[Run, ...]
    commands: tuple[str, ...]
    """What makes the runs again: one line for all seeds if only the seed differs."""


def build_board(site: Site, sheet: Sheet) -> Iterable[File]:
    machines: dict[str, int] = {}
    methods = [_method(entry, machines) for entry in sheet.board.entries]
    odd = [
        (one.why, one.cell.record["method"], _run(one.cell, machines, counts=False))
        for one in sheet.board.odd
    ]
    yield site.page(
        PAGE.file(sheet.board.name),
        "runs",
        PAGE,
        sheet,
        methods=methods,
        odd=odd,
        cache=cache_facts(site.material.root, _cells(sheet)),
        machines=[(number, list(_machine(json.loads(text)))) for text, number in machines.items()],
    )


def _cells(sheet: Sheet) -> list[StoredCell]:
    entries = [cell for entry in sheet.board.entries for cell in entry.cells.values()]
    return [*entries, *(one.cell for one in sheet.board.odd)]


def _method(entry: Entry, machines: dict[str, int]) -> Method:
    runs = tuple(
        _run(cell, machines, counts=seed in entry.asked) for seed, cell in sorted(entry.cells.items())
    )
    return Method(entry, settings(entry.facts.get("fields", {})), runs, _commands(runs))


def _commands(runs: Sequence[Run]) -> tuple[str, ...]:
    words = {run.command.replace(f"--seed {run.seed}", "--seed {}") for run in runs if run.command}
    if len(words) == 1 and "{}" in (command := words.pop()):
        return (command.replace("{}", ranges([run.seed for run in runs])),)
    return tuple(run.command for run in runs if run.command)


def ranges(seeds: Sequence[int]) -> str:
    """As the command line takes seeds: [1, 2, 3, 5] -> "1-3,5"."""
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def _run(cell: StoredCell, machines: dict[str, int], counts: bool) -> Run:
    record = cell.record
    timing: Mapping[str, Any] = record.get("timing") or {}
    figures: Mapping[str, Any] = record.get("figures") or {}
    environment = json.dumps(record.get("environment", {}), sort_keys=True)
    failed = cell.status is not Status.OK
    return Run(
        seed=record["identity"]["seed"],
        status=str(cell.status),
        error=record.get("error") or "",
        log="\n".join(str(record.get("log_tail") or "").splitlines()[-LOG_LINES:]) if failed else "",
        costs=tuple(
            _cost(timing.get(key, figures.get(key)))
            for key in ("fit_seconds", "score_seconds", "evaluate_seconds", "peak_rss_mb", "peak_vram_mb")
        ),
        command=record.get("command") or "",
        started=str(timing.get("started_at") or "")[:16].replace("T", " "),
        split_digest=short_digest(record["identity"]["split_digest"]),
        machine=machines.setdefault(environment, len(machines) + 1),
        counts=counts,
    )


def _cost(value: Any) -> str:
    return "" if value is None else amount(float(value))


def _machine(environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("host", "system", "cpu", "cores", "memory_gib", "accelerator", "python"):
        if environment.get(name) not in (None, ""):
            yield name.replace("_", " "), str(environment[name])
    commit = environment.get("git_commit") or ""
    if commit:
        yield "commit", commit[:12] + (" with uncommitted changes" if environment.get("git_dirty") else "")
    packages = environment.get("packages") or {}
    yield "packages", ", ".join(f"{name} {number}" for name, number in sorted(packages.items()))


PAGE = Page("runs", "Runs", 40, build_board=build_board)
