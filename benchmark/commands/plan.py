"""`ltbench plan`: cells and image counts before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.commands import options
from benchmark.commands.cells import plan_cells
from benchmark.commands.output import print_json, print_table
from benchmark.console import console
from benchmark.selection import parse_fields

if TYPE_CHECKING:
    from benchmark.run import PlannedCell


def plan(
    suite: Annotated[str, typer.Argument(help="Name of a suite or path of a TOML file.")] = "",
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Plan the suite on this data set.")
    ] = None,
    seed: Annotated[str | None, typer.Option("--seed", help="Only these seeds of the suite.")] = None,
    set_fields: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE for every method that has the field; repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Images per category.")] = None,
    list_suites: Annotated[bool, typer.Option("--list", help="List the suites and stop.")] = False,
    results: options.ResultsOption = None,
    data: options.DataOption = None,
    weights: options.WeightsOption = None,
    retry: options.RetryOption = "failed",
    as_json: options.JsonOption = False,
) -> None:
    """List a suite's cells with their state, and the images that they read; runs nothing."""
    from benchmark import suites

    if list_suites:
        _show_suites(as_json)
        return
    settings = options.settings(results=results, data=data, weights=weights)
    asked = suites.asked_suite(suite, dataset, seed, parse_fields(set_fields or []))
    show(plan_cells(asked.cells(limit), settings, retry).cells, "plan", as_json, force=False, retry=retry)


def show(planned: Sequence[PlannedCell], command: str, as_json: bool, *, force: bool, retry: Any) -> None:
    """Print cells with state and counts, then the distinct images behind them."""
    rows: list[list[object]] = []
    images: set[tuple[str, str]] = set()
    forwards = to_run = 0
    for entry in planned:
        cell, split = entry.prepared.cell, entry.prepared.split
        images |= {(cell.dataset, image.path) for image in (*split.train, *split.test)}
        forwards += len(split.train) + len(split.test)
        state = "done"
        if entry.to_run(force=force, retry=retry):
            to_run += 1
            state = "to run" if entry.stored is None else f"to run ({entry.stored.status})"
        method = f"{cell.method} ({cell.label})" if cell.label and not as_json else cell.method
        identity = [cell.dataset, split.recipe, cell.seed, method, state]
        rows.append([*identity, len(split.train), split.overlap, len(split.test)])
    columns = ["dataset", "split", "seed", "method", "state", "train", "overlap", "test"]
    if as_json:
        cells = [dict(zip(columns, row, strict=True)) for row in rows]
        totals = {
            "cells": len(rows),
            "to_run": to_run,
            "images_read": forwards,
            "distinct_images": len(images),
        }
        print_json(command, {"cells": cells, "totals": totals})
        return
    print_table(columns, rows)
    console.print(
        f"{len(rows)} cells, {to_run} to run; {forwards} image reads of {len(images)} distinct images, "
        "which the feature cache embeds once per backbone"
    )


def _show_suites(as_json: bool) -> None:
    from benchmark import suites

    found = [suites.load(name) for name in suites.names()]
    if as_json:
        print_json("plan", {"suites": [suite.facts() for suite in found]})
        return
    rows = [[suite.name, suite.dataset, len(suite.cells()), suite.title] for suite in found]
    print_table(["suite", "data set", "cells", "what"], rows)
