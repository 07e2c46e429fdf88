"""`python -m perf [NAME ...]`: measure, print tables, write perf/out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from rich.console import Console

from ltbench.benchmark.threads import tune_malloc
from perf import overlap, scale
from perf.ceilings import Ceiling, ceilings
from perf.comparison import Row
from perf.comparisons import all_comparisons
from perf.machine import machine
from perf.memory import peak_memory
from perf.pairs import measure
from perf.performance import PERFORMANCE_FILE, Performance, read_performance, write_performance
from perf.table import merged, stored_rows, table_of

OUT = Path(__file__).parent / "out"
Job = Callable[[], list[Row]]


def main() -> None:
    """Run the chosen parts, by default all but --scale; exit 1 if a target is missed."""
    options = _options()
    # As in the process of every cell; all sides have it.
    tune_malloc()
    console = Console(width=None if sys.stdout.isatty() else 150)
    known = ceilings() if not (options.brief or options.list) else {}
    jobs = _jobs(options, known)
    chosen = {name: job for name, job in jobs.items() if any(fnmatch(name, asked) for asked in options.names)}
    if options.names == ["*"] and not (options.scale or options.brief):
        chosen.pop(scale.NAME)
    if options.list:
        console.print(*jobs, sep="\n", highlight=False)
        return
    if not chosen:
        raise SystemExit(f"no comparison is called {' or '.join(options.names)}: --list shows their names")
    facts = machine()
    console.print(", ".join(f"{name} {value}" for name, value in facts.items() if value), highlight=False)
    for ceiling in known.values():
        console.print(f"ceiling: {ceiling.name} {ceiling.text}", highlight=False)
    missed = False
    for job in chosen.values():
        rows = job()
        console.print(table_of(rows))
        # After each: an interrupted run keeps what it has.
        _write(rows, list(jobs), facts, known, options)
        missed |= any(word in row.verdict for row in rows for word in ("wanted", "differs", "failed"))
    raise SystemExit(missed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    parser.add_argument("names", nargs="*", default=["*"], help="comparisons, e.g. 'pixel*' (default: all)")
    parser.add_argument("--list", action="store_true", help="list the comparisons and leave")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each side (default: 10)")
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument("--scale", action="store_true", help=f"also {scale.NAME}: some minutes")
    parser.add_argument("--brief", action="store_true", help="small inputs: do all sides run and agree?")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the tables (default: perf/out)")
    return parser.parse_args()


def _jobs(options: argparse.Namespace, known: dict[str, Ceiling]) -> dict[str, Job]:
    """Measurements that can be chosen, by name."""
    peak = None if options.no_memory or options.brief else peak_memory
    seconds = 0.05 if options.brief else options.seconds
    measuring = partial(
        measure, seconds_per_side=seconds, peak_memory=peak, ceilings=known, brief=options.brief
    )
    jobs: dict[str, Job] = {each.name: partial(measuring, each) for each in all_comparisons()}
    brief = options.brief
    jobs[overlap.NAME] = partial(overlap.measured, 1, 6, 56) if brief else overlap.measured
    jobs[scale.NAME] = partial(scale.measured, 20, 128) if brief else scale.measured
    return jobs


def _write(
    rows: list[Row],
    order: list[str],
    facts: dict[str, str],
    known: dict[str, Ceiling],
    options: argparse.Namespace,
) -> None:
    """The parquet file in perf/out with its JSON."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    texts = {name: ceiling.text for name, ceiling in known.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / PERFORMANCE_FILE
    earlier = _earlier(path, options.brief)
    every = merged(earlier, stored_rows(rows, now, f"{os.getloadavg()[0]:.1f}"), facts, order)
    write_performance(path, every, machine=facts, ceilings=texts, is_brief=options.brief)
    document = {
        "schema_version": 1,
        "machine": facts,
        "ceilings": texts,
        "rows": [dict(row) for row in every],
    }
    (options.out / "performance.json").write_text(json.dumps(document, indent=1) + "\n")


def _earlier(path: Path, is_brief: bool) -> Performance | None:
    found = read_performance(path)
    return found if found is not None and found.is_brief == is_brief else None


if __name__ == "__main__":
    main()
