"""`ltbench status`: what is done, what failed, what was started and never finished."""

from __future__ import annotations

from collections import Counter

from benchmark.commands import options
from benchmark.commands.output import print_json, print_table
from benchmark.console import console, print_failures


def status(results: options.ResultsOption = None, as_json: options.JsonOption = False) -> None:
    """Count cells by data set, split, method and status; list failures."""
    from results.status import Status
    from results.store import Store

    store = Store(options.settings(results=results).results)
    cells = list(store.cells())
    unfinished = store.unfinished()
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for cell in cells:
        same = cell.record["identity"]
        counts[same["dataset"], same["split"], same["method"], str(cell.status)] += 1
    rows = [[*key, count] for key, count in sorted(counts.items())]
    columns = ["dataset", "split", "method", "status", "cells"]
    if as_json:
        content = {
            "counts": [dict(zip(columns, row, strict=True)) for row in rows],
            "unfinished": [str(path) for path in unfinished],
        }
        print_json("status", content)
        return
    print_table(columns, rows, title=str(store.root))
    failed = [cell for cell in cells if cell.status is not Status.OK]
    if failed:
        print_failures(failed)
    for path in unfinished:
        console.print(f"[yellow]started, not finished:[/yellow] {path}", soft_wrap=True)
