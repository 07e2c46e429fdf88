"""`ltbench rank`: training images by suspicion, as a list for manual inspection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.console import console, would
from ltbench.benchmark.errors import UsageError

app = typer.Typer(help="Active label correction: rankings of training images.", no_args_is_help=True)


@app.command()
def export(
    folder: Annotated[str, typer.Argument(help="A cell's folder, as 'results ls' prints it.")],
    out: Annotated[Path, typer.Argument(help="CSV file to write.")],
    truth: Annotated[bool, typer.Option("--truth", help="Add what the benchmark knows.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Images per category.")] = None,
    results: options.ResultsOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Write a cell's ranking as a CSV, most suspicious first; the cell was run with --rank-training."""
    from ltbench.results.ranking import export_ranking, ranking
    from ltbench.results.store import Store

    store = Store(options.settings(results=results).results)
    cell = store.asked(folder)
    if cell is None:
        raise UsageError(f"'{folder}' holds no finished cell below '{store.root}': see 'ltbench results ls'")
    if dry_run:
        would(f"write {len(ranking(cell))} images of '{cell.folder}' at most to '{out}'")
        return
    rows = export_ranking(cell, out, truth=truth, limit=limit)
    console.print(f"{rows} images to look at: {out}")


@app.callback()
def _group() -> None:
    """Active label correction: rankings of training images."""
