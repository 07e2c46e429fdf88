"""`ltbench metrics`: what can be measured, and measuring again."""

from __future__ import annotations

from collections import Counter

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table
from ltbench.benchmark.console import console, warn, would

app = typer.Typer(help="Metrics: list, recompute from stored predictions.", no_args_is_help=True)


@app.command("ls")
def show_all(as_json: options.JsonOption = False) -> None:
    """List the metrics with their recipes."""
    from ltbench.benchmark import metrics

    loaded = {name: metrics.load(name) for name in metrics.names()}
    rows = [[name, metric.title, metric.needs, metric.recipe] for name, metric in loaded.items()]
    columns = ["metric", "title", "needs", "recipe"]
    if as_json:
        print_json("metrics ls", {"metrics": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    print_table(columns, rows)


@app.command("recompute")
def recompute_all(
    results: options.ResultsOption = None,
    data: options.DataOption = None,
    dry_run: options.DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Evaluate every stored prediction anew; runs no method."""
    from ltbench.benchmark.recompute import recompute, why_not
    from ltbench.results.store import Store

    settings = options.settings(results=results, data=data)
    if dry_run:
        reasons = Counter(why_not(cell) for cell in Store(settings.results).cells())
        would(f"compute the metrics of {reasons.pop('', 0)} cells anew in '{settings.results}'")
        for reason, count in reasons.items():
            would(f"leave {count} cells as they are: {reason}")
        return
    done = []
    with console.status("recomputing ...") as spinner:
        for cell in Store(settings.results).cells():
            spinner.update(f"recomputing {cell.folder.name}")
            done.append(recompute(cell, settings))
    skipped = [entry for entry in done if entry.why_not]
    changed = sum(entry.changed for entry in done)
    if as_json:
        cells = [
            {"folder": str(entry.cell.folder), "changed": entry.changed, "why_not": entry.why_not}
            for entry in done
        ]
        print_json("metrics recompute", {"cells": cells})
        return
    for entry in skipped:
        warn(f"{entry.cell.folder} is left as it is: {entry.why_not}")
    console.print(f"{len(done) - len(skipped)} cells recomputed, {changed} values changed")
