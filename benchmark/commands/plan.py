"""`ltbench plan`: cells with their state, images to embed, and what all of it will take on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.cells import asked_retry
from ltbench.benchmark.commands.output import print_json, print_table
from ltbench.benchmark.console import console, watching
from ltbench.benchmark.selection import parse_fields

if TYPE_CHECKING:
    from ltbench.benchmark.retry import Retry
    from ltbench.benchmark.run import Plan
    from ltbench.benchmark.settings import Settings

COLUMNS = ("dataset", "split", "seed", "method", "state", "train", "overlap", "test", "estimate")


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
    metrics: options.MetricsOption = "",
    list_suites: Annotated[bool, typer.Option("--list", help="List the suites and stop.")] = False,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="First time each backbone on a few images, and remember it."),
    ] = False,
    results: options.ResultsOption = None,
    data: options.DataOption = None,
    cache: options.CacheOption = None,
    weights: options.WeightsOption = None,
    jobs: options.JobsOption = None,
    device: options.DeviceOption = None,
    retry: options.RetryOption = "failed",
    only_missing: options.OnlyMissingOption = False,
    force: options.ForceOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """List a suite's cells with their state, and estimate time, memory and disk; runs nothing.

    A cell is done, cached (its features are at hand), to run, to be recomputed (it lacks metrics, or
    their recipes have changed), or impossible here. Estimates come from cells and backbones that ran on this
    machine.
    """
    from ltbench.benchmark import suites
    from ltbench.benchmark.run import look_up

    if list_suites:
        _show_suites(as_json)
        return
    settings = options.settings(
        results=results, data=data, cache=cache, weights=weights, jobs=jobs, device=device
    )
    asked = suites.asked_suite(suite, dataset, seed, parse_fields(set_fields or []), metrics)
    again = asked_retry(retry, only_missing, force)
    with console.status("looking up splits, data and weights ..."):
        found, missing = look_up(asked.cells(limit), settings)
    if calibrate:
        from ltbench.benchmark.calibration import calibrate as measure

        measure([entry.prepared for entry in found.cells], settings, watching)
    show(found, settings, "plan", as_json, force=force, retry=again)
    if missing is not None and not found.cells:
        raise missing


def show(plan: Plan, settings: Settings, command: str, as_json: bool, *, force: bool, retry: Retry) -> None:
    """Print cells with state and estimate, then what all of them take together."""
    from ltbench.benchmark import rates
    from ltbench.benchmark.commands import forecasts
    from ltbench.benchmark.forecast import forecast

    states = [entry.state(force=force, retry=retry) for entry in plan.cells]
    will_run = {place: state == "recompute" for place, state in enumerate(states) if state != "done"}
    with console.status("comparing with what has run here ..."):
        expected = forecast(plan.cells, will_run, settings, rates.load(settings.home))
    rows = forecasts.rows(plan, states, expected)
    labels = [entry.prepared.cell.label for entry in plan.cells]
    labels += [cell.label for cells in plan.impossible.values() for cell in cells]
    totals = forecasts.totals(plan, states, expected)
    if as_json:
        print_json(
            command,
            {
                "cells": [dict(zip((*COLUMNS, "why"), row, strict=True)) for row in rows],
                "totals": totals,
                "forecast": expected.facts(),
            },
        )
        return
    print_table(COLUMNS, [_labelled(row[:-1], label) for row, label in zip(rows, labels, strict=True)])
    for sentence in forecasts.sentences(plan, totals, expected):
        console.print(sentence, soft_wrap=True)


def _labelled(row: list[object], label: str) -> list[object]:
    """Row in which the suite's label distinguishes methods of the same name."""
    place = COLUMNS.index("method")
    return [*row[:place], f"{row[place]} ({label})", *row[place + 1 :]] if label else row


def _show_suites(as_json: bool) -> None:
    from ltbench.benchmark import suites

    found = [suites.load(name) for name in suites.names()]
    if as_json:
        print_json("plan", {"suites": [suite.facts() for suite in found]})
        return
    rows = [[suite.name, suite.dataset, len(suite.cells()), suite.title] for suite in found]
    print_table(["suite", "data set", "cells", "what"], rows)
