"""`python -m perf [NAME ...]`: measure, print a table, write perf/out."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console
from rich.table import Table

from perf.comparisons import all_comparisons
from perf.machine import machine
from perf.pairs import Row, measure

OUT = Path(__file__).parent / "out"


def main() -> None:
    """Run the comparisons whose names match, all by default; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    parser.add_argument("names", nargs="*", default=["*"], help="comparisons, e.g. 'pixel*' (default: all)")
    parser.add_argument("--list", action="store_true", help="list the comparisons and leave")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each side (default: 10)")
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the tables (default: perf/out)")
    options = parser.parse_args()
    chosen = [each for each in all_comparisons() if any(fnmatch(each.name, name) for name in options.names)]
    console = Console(width=None if sys.stdout.isatty() else 140)
    if options.list:
        console.print(*(f"{each.name}: {each.size}" for each in chosen), sep="\n", highlight=False)
        return
    facts = machine()
    console.print(", ".join(f"{name} {value}" for name, value in facts.items() if value), highlight=False)
    rows = []
    for comparison in chosen:
        found = measure(comparison, seconds_per_side=options.seconds, memory=not options.no_memory)
        console.print(table_of(found))
        rows += found
    write(rows, facts, options.out)
    raise SystemExit(any("wanted" in row.verdict or "differs" in row.verdict for row in rows))


def table_of(rows: list[Row]) -> Table:
    """The sides of one comparison."""
    table = Table(title=f"{rows[0].comparison}: {rows[0].size}", title_justify="left")
    for heading in (
        "side",
        "CPU median",
        "rounds",
        "time / ours",
        "peak MB",
        "memory / ours",
        "differs by",
        "",
    ):
        table.add_column(heading, justify="left" if heading in ("side", "") else "right")
    for row in rows:
        table.add_row(
            row.side,
            "" if row.seconds is None else f"{row.seconds:.4f} s",
            str(row.rounds or ""),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.peak_mb is None else f"{row.peak_mb:.0f}",
            "" if row.memory_ratio is None else f"{row.memory_ratio:.2f}",
            "" if row.difference is None else f"{row.difference:.1e}",
            row.verdict,
            style="bold" if row.ours else None,
        )
    return table


def write(rows: list[Row], facts: dict[str, str], folder: Path) -> None:
    """`measured.json` with the machine, and `measured.parquet` with a row per side."""
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    document = {
        "schema_version": 1,
        "measured_at": when,
        "machine": facts,
        "rows": [asdict(row) for row in rows],
    }
    (folder / "measured.json").write_text(json.dumps(document, indent=1) + "\n")
    flat = [
        {**asdict(row), "answer": json.dumps(dict(row.answer)), "measured_at": when, **facts} for row in rows
    ]
    pd.DataFrame(flat).to_parquet(folder / "measured.parquet", index=False)


if __name__ == "__main__":
    main()
