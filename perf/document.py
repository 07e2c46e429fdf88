"""`python -m perf.document [FILE]`: put the tables of the last `make perf` into docs/performance.md."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from perf.machine import PACKAGES
from perf.performance import PERFORMANCE_FILE, Performance, read_performance
from perf.table import markdown

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
MEASURED = Path(__file__).parent / "out" / PERFORMANCE_FILE
START, END = "<!-- measured: made by python -m perf.document -->\n", "<!-- end of measured -->\n"
START_GPU = "<!-- measured on a GPU: made by python -m perf.document -->\n"
GPU = "GPU: "
"""Prefix in the names of comparisons that run on a GPU."""


def gpu_section(found: Performance) -> str:
    """The GPU and its table in Markdown."""
    machine = found.machine
    days = sorted({when[:10] for when in found.rows["measured_at"]})
    where = f"Measured {' and '.join(days)} on {machine['accelerator']} beside {machine.get('processor', '')}"
    return f"{where}; torch {machine.get('torch', '')}.\n\n{markdown(found)}"


def section(found: Performance) -> str:
    """Machine, ceilings and table in Markdown."""
    machine = found.machine
    days = sorted({when[:10] for when in found.rows["measured_at"]})
    loads = sorted({float(load) for load in found.rows["load"]})
    versions = ", ".join(f"{name} {machine[name]}" for name in PACKAGES if name in machine)
    processor, cores = machine.get("processor", ""), machine.get("cores", "?")
    facts = [
        f"Measured {' and '.join(days)} on {processor}, {cores} cores, one thread, load of the machine "
        f"{loads[0]:g} to {loads[-1]:g}; Python {machine.get('python', '')}, {versions}.",
        "",
        "Ceilings: " + "; ".join(found.ceilings.values()) + ".",
    ]
    return "\n".join(facts) + "\n\n" + markdown(found)


def written(page: str, found: Performance) -> str:
    """`page` with its measured parts replaced; a GPU's has a table of its own, left alone where none ran.

    Raises ValueError if it has no such part.
    """
    there = found.rows["comparison"].str.startswith(GPU)
    if there.any():
        page = _replaced(page, START_GPU, gpu_section(replace(found, rows=found.rows[there])))
    if not there.all():
        page = _replaced(page, START, section(replace(found, rows=found.rows[~there])))
    return page


def _replaced(page: str, start: str, text: str) -> str:
    before, found, rest = page.partition(start)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise ValueError(f"'{PAGE.name}' has no lines '{start.strip()}' and '{END.strip()}' for the table")
    return before + start + "\n" + text + "\n" + END + after


def main() -> None:
    """Rewrite the page from the file named on the command line, or from perf/out."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else MEASURED
    found = read_performance(source)
    if found is None:
        raise SystemExit(f"'{source}' does not exist: run make perf first")
    PAGE.write_text(written(PAGE.read_text(), found))


if __name__ == "__main__":
    main()
