"""`ltbench results`: look at, combine, compare and export result folders."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import percent, print_json, print_table, print_text
from ltbench.benchmark.console import console, warn, would
from ltbench.benchmark.errors import UsageError
from ltbench.results.places import Place, below, place

app = typer.Typer(help="Look at, combine, compare and export results.", no_args_is_help=True)

FORMATS = ("csv", "parquet", "json")


@app.command("ls")
def show_all(results: options.ResultsOption = None, as_json: options.JsonOption = False) -> None:
    """List cells: split, seed, method, status, cost, folder."""
    store = _store(results)
    cells = [
        {
            **{name: getattr(cell.record.identity, name) for name in ("dataset", "split", "seed", "method")},
            "status": str(cell.status),
            "fit_seconds": cell.record.timing.fit_seconds,
            "folder": below(cell.folder, store.root),
        }
        for cell in store.cells()
    ]
    if as_json:
        print_json("results ls", {"root": str(store.root), "cells": cells})
        return
    columns = ["dataset", "split", "seed", "method", "status", "fit_seconds", "folder"]
    rows = [["–" if cell[name] is None else cell[name] for name in columns] for cell in cells]
    print_table(columns, rows, title=str(store.root))


@app.command()
def show(
    folder: Annotated[str, typer.Argument(help="A cell's folder, as 'results ls' prints it.")],
    results: options.ResultsOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Print one cell: its record, and its values per category."""
    store = _store(results)
    cell = store.asked(folder)
    if cell is None:
        raise UsageError(f"'{folder}' holds no finished cell below '{store.root}': see 'ltbench results ls'")
    if as_json:
        print_json("results show", {"record": dict(cell.content)})
        return
    print_text(json.dumps(cell.content, indent=1, ensure_ascii=False))
    table = cell.metrics().pivot_table(index="category", columns="metric", values="value", dropna=False)
    rows = [
        [category, *(percent(value) for value in row)]
        for category, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    print_table(["category, %", *table.columns], rows)


@app.command("merge")
def merge_folders(
    sources: Annotated[list[str], typer.Argument(help="Results folders or URLs of other machines.")],
    results: options.ResultsOption = None,
    dry_run: options.DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Copy the cells of other folders into the results folder; refuse if values conflict (exit code 5)."""
    from ltbench.results.merge import merge

    found = [place(source) for source in sources]
    _require_folders(found)
    root = _store(results).root
    done = merge(found, root, dry_run=dry_run)
    for sentence in done.damaged:
        warn(f"left out: {sentence}")
    if as_json:
        print_json("results merge", {"root": str(root), "dry_run": dry_run, **vars(done)})
        return
    console.print(
        ("[bold]would be:[/bold] " if dry_run else "")
        + f"{done.copied} copied, {done.upgraded} upgraded, {done.already_there} there already: {root}"
    )


@app.command()
def diff(
    a: Annotated[str, typer.Argument(help="Results folder or URL.")],
    b: Annotated[str, typer.Argument(help="Results folder or URL.")],
    tolerance: Annotated[float, typer.Option(min=0, help="Points that a value may differ.")] = 1e-7,
    as_json: options.JsonOption = False,
) -> None:
    """Compare two results folders value by value; exit code 5 if they differ."""
    from ltbench.results.diff import difference

    sides = place(a), place(b)
    _require_folders(sides)
    found = difference(*sides, tolerance / 100)
    rows = found.rows
    if as_json:
        finite = rows.replace({"difference": {float("inf"): None}}).astype(object)
        known = finite.where(finite.notna(), None)
        print_json("results diff", {"summary": found.summary(), "differences": known.to_dict("records")})
    else:
        columns = ["split", "seed", "method", "category", "metric", "a, %", "b, %", "b - a"]
        shown = [
            [
                *(row.split, row.seed, row.method, row.category, row.metric),
                *(percent(value) for value in (row.value_a, row.value_b)),
                _moved(row.value_b, row.difference),
            ]
            for row in rows.head(40).itertuples()
        ]
        print_table(columns, shown)
        for sentence in found.sentences():
            console.print(sentence)
    found.require_equal()


def _require_folders(folders: Sequence[Place]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"'{folder}' is no folder: expected a results folder")


def _moved(value_b: float, difference: float) -> float | str:
    """Difference as text, or the side that has a value if only one has."""
    if math.isinf(difference):
        return "only in a" if math.isnan(value_b) else "only in b"
    return percent(difference)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File to write; its ending says the format.")],
    results: options.ResultsOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Write all rows of all cells as one CSV, parquet or JSON-lines file."""
    from ltbench.results.files import write_place

    kind = out.suffix.lstrip(".")
    if kind not in FORMATS:
        raise UsageError(f"'{out}' has the ending '{out.suffix}': expected one of .{', .'.join(FORMATS)}")
    frame = _store(results).metrics()
    if dry_run:
        would(f"write {len(frame)} rows to '{out}'")
        return
    if kind == "csv":
        write_place(out, lambda file: frame.to_csv(file, index=False))
    elif kind == "parquet":
        write_place(out, lambda file: frame.to_parquet(file, index=False))
    else:
        write_place(out, lambda file: frame.to_json(file, orient="records", lines=True))
    console.print(f"{len(frame)} rows: {out}")


def _store(results: str | None):  # type: ignore[no-untyped-def]
    from ltbench.results.store import Store

    return Store(options.settings(results=results).results)
