"""`ltbench metrics`: list the metrics, and compute them from stored predictions."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table
from ltbench.benchmark.console import console, warn, would

app = typer.Typer(help="Metrics: list, compute from stored predictions.", no_args_is_help=True)


@app.command("ls")
def show_all(as_json: options.JsonOption = False) -> None:
    """List the metrics with what they need and how they are computed, in a table's order."""
    from ltbench.benchmark import metrics

    loaded = {name: metrics.load(name) for name in metrics.names()}
    if as_json:
        facts = ("title", "description", "needs", "recipe", "order", "shown", "unit", "higher_is_better")
        rows = [
            {"metric": name, **{fact: getattr(metric, fact) for fact in facts}}
            for name, metric in loaded.items()
        ]
        print_json("metrics ls", {"metrics": rows})
        return
    print_table(
        ["metric", "title", "needs", "default", "recipe"],
        [
            [name, metric.title, metric.needs, "yes" if metric.shown else "no", metric.recipe]
            for name, metric in loaded.items()
        ],
    )


@app.command("recompute")
def recompute_all(
    metrics: Annotated[
        str,
        typer.Option(
            "--metrics",
            help="Metrics: comma list, globs, 'standard', 'all' [default: those that each cell has].",
        ),
    ] = "",
    results: options.ResultsOption = None,
    data: options.DataOption = None,
    dry_run: options.DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Compute metrics of every stored prediction; runs no method."""
    from ltbench.benchmark.metrics import select
    from ltbench.benchmark.recompute import own_metrics, recompute, why_not
    from ltbench.results.store import Store

    settings = options.settings(results=results, data=data)
    names = select(metrics) if metrics else ()
    if dry_run:
        cells = Store(settings.results).cells()
        reasons = Counter(why_not(cell, names or own_metrics(cell)) for cell in cells)
        would(f"compute the metrics of {reasons.pop('', 0)} cells in '{settings.results}'")
        for reason, count in reasons.items():
            would(f"leave {count} cells as they are: {reason}")
        return
    done = []
    with console.status("recomputing ...") as spinner:
        for cell in Store(settings.results).cells():
            spinner.update(f"recomputing {cell.folder.name}")
            done.append(recompute(cell, settings, names))
    skipped = [entry for entry in done if entry.why_not]
    changed = sum(entry.changed for entry in done)
    if as_json:
        facts = [
            {"folder": str(entry.cell.folder), "changed": entry.changed, "why_not": entry.why_not}
            for entry in done
        ]
        print_json("metrics recompute", {"cells": facts})
        return
    for entry in skipped:
        warn(f"{entry.cell.folder} is left as it is: {entry.why_not}")
    console.print(f"{len(done) - len(skipped)} cells recomputed, {changed} values changed")
