"""`ltbench published`: the papers' own tables, and what does not add up in them."""

from __future__ import annotations

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table

app = typer.Typer(help="The tables of the papers as data.", no_args_is_help=True)


@app.command("ls")
def show(as_json: options.JsonOption = False) -> None:
    """List the published tables that reports compare with measured numbers."""
    from ltbench.results import published

    tables = published.tables()
    if as_json:
        print_json("published ls", {"tables": [vars(table) for table in tables]})
        return
    print_table(["paper", "table", "cells", "what"], [[t.paper, t.title, t.cells, t.caption] for t in tables])


@app.command()
def lint(as_json: options.JsonOption = False) -> None:
    """Recompute every published aggregate from its cells and list what does not hold."""
    from ltbench.results.published.lint import lint as findings_of

    findings = findings_of()
    if as_json:
        print_json("published lint", {"findings": [vars(finding) for finding in findings]})
        return
    rows = [[f.paper, f.table, f.row, f.what, f.printed, f.recomputed] for f in findings]
    print_table(["paper", "table", "row", "what", "printed", "recomputed"], rows)
