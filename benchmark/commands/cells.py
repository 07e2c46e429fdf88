"""Shared part of `run`, `bench` and `plan`: arguments to cells, outcomes to tables and exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltbench.benchmark.commands.output import percent, print_json, print_table
from ltbench.benchmark.console import console, print_failures, warn, watching
from ltbench.benchmark.errors import CellsFailed, UsageError
from ltbench.benchmark.kept_maps import KeptMaps
from ltbench.benchmark.selection import parse_fields, parse_overlap, parse_seeds, parse_view, select_names
from ltbench.benchmark.settings import Settings

if TYPE_CHECKING:
    from ltbench.benchmark.cell import Cell
    from ltbench.benchmark.retry import Retry
    from ltbench.benchmark.run import Outcome, Plan, PlannedCell
    from ltbench.results.store import StoredCell

_MOST_NAMED = 5
"""Categories that a line names."""


def asked_cells(
    *,
    method: str,
    split: str,
    dataset: str,
    seed: str,
    set_fields: Sequence[str],
    overlap: str,
    view: str,
    limit: int | None,
    metrics: str = "",
) -> list[Cell]:
    """Every combination of the named methods, splits and seeds."""
    from ltbench.benchmark.cell import Cell
    from ltbench.benchmark.describe import require_fields
    from ltbench.benchmark.metrics import select
    from ltbench.methods import catalog
    from ltbench.splits import recipes

    files = [name for part in method.split(",") if catalog.is_file(name := part.strip())]
    methods = select_names(method, [*catalog.names(), *files], "method")
    splits = select_names(split, recipes.names(dataset), "split", open_ended=True)
    fields = parse_fields(set_fields)
    for name in methods:
        require_fields(name, fields)
    measured = select(metrics) if metrics else ()
    return [
        Cell(
            dataset, recipe, number, name, fields, parse_overlap(overlap), parse_view(view, dataset), limit,
            metrics=measured,
        )
        for recipe in splits
        for number in parse_seeds(seed)
        for name in methods
    ]  # fmt: skip


def asked_retry(retry: str, only_missing: bool, force: bool) -> Retry:
    """Combine the options --retry, --only-missing and --force into one rule; raises UsageError."""
    from ltbench.benchmark.retry import parse_retry

    asked = parse_retry(retry)
    if not only_missing:
        return asked
    if force:
        raise UsageError(
            "--force runs every cell again and --only-missing none that has a row: give one of them"
        )
    if retry not in {"failed", "none"}:
        raise UsageError(
            f"--retry {retry} tries failed cells again and --only-missing does not: give one of them"
        )
    return parse_retry("none")


def plan_cells(cells: Sequence[Cell], settings: Settings) -> Plan:
    """Look every cell up, with a sign of life while data is hashed and weights are read."""
    from ltbench.benchmark.run import plan

    with console.status("looking up splits, data and weights ..."):
        found = plan(cells, settings)
    for why, left_out in found.impossible.items():
        warn(f"{len(left_out)} cells cannot run: {why}")
    return found


def run_cells(
    planned: Sequence[PlannedCell],
    settings: Settings,
    *,
    engine: str,
    keep_maps: KeptMaps,
    rank_training: bool,
    force: bool,
    retry: Retry,
) -> Outcome:
    from ltbench.benchmark.engines import Options
    from ltbench.benchmark.run import run

    options = Options(keep_maps=keep_maps, rank_training=rank_training, force=force)
    return run(planned, settings, options, watching, engine=engine, retry=retry)


def finish(outcome: Outcome, planned: Plan, command: str, as_json: bool) -> None:
    """Print the outcome; raise CellsFailed (exit code 3) if a cell failed."""
    if as_json:
        print_json(command, {"reused": outcome.reused, "cells": [_as_json(cell) for cell in outcome.cells]})
    else:
        _print_cells(outcome.cells)
        _print_holes(outcome.cells)
        _warn_of_hidden(outcome.cells)
        console.print(f"[dim]{len(outcome.cells)} cells, {outcome.reused} of them finished before[/dim]")
    if outcome.failed:
        print_failures(outcome.failed)
        raise CellsFailed(
            f"{len(outcome.failed)} of {len(outcome.cells)} cells failed: their rows and logs say why, "
            "the same command tries them again"
        )
    planned.require_all()
    planned.require_metrics(outcome)


def mean_values(cell: StoredCell) -> dict[str, float | None]:
    """Mean over categories per metric; None where a category has no value."""
    frame = cell.metrics()
    means: dict[str, float | None] = {}
    for metric, rows in frame.groupby("metric", sort=False):
        means[str(metric)] = None if rows["value"].isna().any() else float(rows["value"].mean())
    return means


def _print_cells(cells: Sequence[StoredCell]) -> None:
    known = {name: fact for cell in cells for name, fact in cell.record.metrics.items()}
    shown = dict(sorted(known.items(), key=lambda item: item[1].order))
    rows = []
    for cell in cells:
        same = cell.record.identity
        means = mean_values(cell)
        values = [
            percent(means.get(name)) if fact.unit == "%" else means.get(name, "–")
            for name, fact in shown.items()
        ]
        rows.append([same.split, same.seed, same.method, str(cell.status), *values])
    columns = ["split", "seed", "method", "status", *(fact.title for fact in shown.values())]
    print_table(columns, rows, title="Mean over categories, %")


def _print_holes(cells: Sequence[StoredCell]) -> None:
    """Say why a value is missing, each reason once with its categories."""
    holes: dict[str, dict[str, None]] = {}
    for cell in cells:
        frame = cell.metrics()
        for category, why in zip(frame["category"], frame["why"], strict=True):
            if why and cell.status == "ok":
                holes.setdefault(why, {})[category] = None
    for why, categories in holes.items():
        named = ", ".join(list(categories)[:_MOST_NAMED])
        more = f" and {len(categories) - _MOST_NAMED} more" if len(categories) > _MOST_NAMED else ""
        console.print(f"– {named}{more}: {why}", markup=False, highlight=False, soft_wrap=True)


def _warn_of_hidden(cells: Sequence[StoredCell]) -> None:
    """Warn of views that leave out whole defects: all pixels of these images then count as good."""
    hidden = {
        (cell.record.dataset.name, cell.record.cell.view.text, loss.category): loss
        for cell in cells
        for loss in cell.record.view_loss
        if loss.hidden_defects
    }
    for (dataset, view, category), loss in hidden.items():
        warn(
            f"the view {view} shows nothing of {loss.hidden_defects} of {loss.defects} defects of "
            f"'{category}' in '{dataset}': --view squeeze224/224 shows whole images"
        )


def _as_json(cell: StoredCell) -> dict[str, Any]:
    record = cell.content
    return {
        "identity": record["identity"],
        "status": record["status"],
        "error": record["error"],
        "folder": str(cell.folder),
        "means": mean_values(cell),
        "view_loss": record.get("view_loss", []),
        "timing": record.get("timing", {}),
    }
