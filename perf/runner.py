"""`python -m perf.runner [PART ...]`: what the runner itself costs and saves, with engine local and ray.

Parts: demo and bank (features shared and not), jobs (1 and 2 at a time), overhead (against calling the method
directly), thousand (trivial cells: plan, run, status, report; then their rows merged, rendered, exported).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ltbench.benchmark import engines, suites
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.engines import Options
from ltbench.benchmark.execute import execute
from ltbench.benchmark.feature_cache import open_cache
from ltbench.benchmark.resolve import Resolver
from ltbench.benchmark.run import plan, run
from ltbench.benchmark.settings import Settings
from ltbench.methods.base import View
from ltbench.results.status import Status
from perf.machine import machine

FIXED_SECONDS = 1.0
SHARE_OF_30_SECONDS = 0.05
OUT = Path(__file__).parent / "out" / "runner.json"


@dataclass(frozen=True)
class Line:
    """One measured figure."""

    part: str
    what: str
    value: float
    unit: str
    verdict: str = ""
    """ "ok" or what was wanted."""


class Quiet:
    """A watcher that keeps the seconds of every cell."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started: dict[int, float] = {}

    def started(self, index: int) -> None:
        self._started[index] = time.perf_counter()

    def progressed(self, index: int, stage: str, done: int, total: int) -> None: ...

    def finished(self, index: int, status: Status, error: str) -> None:
        if status is not Status.OK:
            raise SystemExit(f"cell {index} ended with {status}: {error}")
        self.seconds.append(time.perf_counter() - self._started[index])


@contextmanager
def quiet(_titles: Sequence[str], _done_before: int) -> Iterator[Quiet]:
    yield Quiet()


def bank_cells(limit: int) -> list[Cell]:
    """20 cells of memory-bank methods: 2 splits x 5 seeds x 2 methods on embedded data."""
    return [
        Cell("synthetic", split, seed, method, {"grid": 14}, limit=limit)
        for split in ("pareto", "step_k4")
        for seed in range(1, 6)
        for method in ("patchcore", "softpatch")
    ]


def features(part: str, cells: Sequence[Cell], folder: Path) -> list[Line]:
    """The same cells with every image embedded once, and with every cell embedding for itself."""
    shared = Settings(results=folder / "shared", cache=folder / "cache", home=folder / "home", jobs=1)
    # The fork server starts once a run: neither side pays for it.
    first = Cell("synthetic", "clean", 1, "chance", limit=1, view=View(32, 32))
    warm = replace(shared, results=folder / "warm")
    run(plan([first], warm).cells, warm, Options(), quiet)
    start = time.perf_counter()
    outcome = run(plan(cells, shared).cells, shared, Options(), quiet)
    with_cache = time.perf_counter() - start
    (record,) = (shared.results / "runs").glob("*.json")
    forwards = json.loads(record.read_text())["cache"]["misses"]
    # A cache that may hold nothing, and no pass before the cells.
    alone = replace(shared, results=folder / "alone", cache=folder / "none", cache_gb=0.0)
    prepared = [entry.prepared for entry in plan(cells, alone).cells]
    start = time.perf_counter()
    single = engines.load("local").run(prepared, alone, Options(), Quiet())
    without = time.perf_counter() - start
    forwards_alone = sum(cell.record.cache["misses"] for cell in single)
    differ = sum(
        not one.scores()["score"].equals(other.scores()["score"])
        for one, other in zip(outcome.cells, single, strict=True)
    )
    return [
        Line(part, "cells", len(cells), ""),
        Line(part, "image forwards, shared", forwards, ""),
        Line(part, "image forwards, each cell for itself", forwards_alone, ""),
        Line(part, "fewer forwards", forwards_alone / max(1, forwards), "x"),
        Line(part, "wall, shared", with_cache, "s"),
        Line(part, "wall, each cell for itself", without, "s"),
        Line(part, "faster", without / with_cache, "x"),
        Line(part, "cells whose scores differ", differ, "", "ok" if not differ else "wanted 0"),
    ]


def demo(folder: Path, options: argparse.Namespace) -> list[Line]:
    seeds = "1" if options.brief else None
    return features("demo", suites.asked_suite("demo", None, seeds).cells(options.limit), folder)


def bank(folder: Path, options: argparse.Namespace) -> list[Line]:
    return features("bank", bank_cells(options.limit or 20), folder)


def jobs(folder: Path, options: argparse.Namespace) -> list[Line]:
    """Cells from a warm cache, one and two at a time, one thread each."""
    cells = bank_cells(options.limit or 20)
    settings = Settings(cache=folder / "cache", home=folder / "home", results=folder / "warm", jobs=2)
    run(plan(cells[:4], settings).cells, settings, Options(), quiet)
    seconds = {}
    for count in (1, 2):
        each = replace(settings, jobs=count, results=folder / f"jobs{count}")
        prepared = [entry.prepared for entry in plan(cells, each).cells]
        start = time.perf_counter()
        engines.load("local").run(prepared, each, Options(), Quiet())
        seconds[count] = time.perf_counter() - start
    lines = [Line("jobs", f"wall, --jobs {count}", value, "s") for count, value in seconds.items()]
    return [*lines, Line("jobs", "faster with 2", seconds[1] / seconds[2], "x")]


def overhead(folder: Path, options: argparse.Namespace) -> list[Line]:
    """Engines against the same cells called directly in one warm process, from a warm cache."""
    limit = options.limit or 20
    view = View(32, 32)
    trivial = [Cell("synthetic", "clean", seed, "chance", limit=2, view=view) for seed in range(1, 11)]
    heavy = [Cell("synthetic", "pareto", 1, "patchcore", {"grid": 14}, limit=limit)]
    names = ["local"] + (["ray"] if importlib.util.find_spec("ray") else [])
    lines = []
    for what, cells in (("trivial cells", trivial), ("one patchcore cell", heavy)):
        settings = Settings(cache=folder / "cache", home=folder / "home", results=folder / "first", jobs=1)
        run(plan(cells, settings).cells, settings, Options(), quiet)
        direct = _direct(cells, replace(settings, results=folder / "direct"))
        lines.append(Line("overhead", f"{what}: direct call, per cell", direct, "s"))
        for name in names:
            there = replace(settings, results=folder / name, ray_address="local")
            prepared = [entry.prepared for entry in plan(cells, there).cells]
            watcher = Quiet()
            # The first start brings up the fork server, or Ray's cluster: once a run, not once a cell.
            engines.load(name).run(prepared[:1], there, Options(force=True), Quiet())
            start = time.perf_counter()
            engines.load(name).run(prepared, there, Options(force=True), watcher)
            more = (time.perf_counter() - start) / len(cells) - direct
            share = more / 30
            fine = more < FIXED_SECONDS and share < SHARE_OF_30_SECONDS
            verdict = "ok" if fine or name == "ray" else f"wanted < {FIXED_SECONDS:g} s"
            lines.append(Line("overhead", f"{what}: engine {name}, more per cell", more, "s", verdict))
            lines.append(Line("overhead", f"{what}: engine {name}, of a 30 s cell", 100 * share, "%"))
    return lines


def _direct(cells: Sequence[Cell], settings: Settings) -> float:
    """Seconds per cell without processes; the first one warms imports and is not counted."""
    resolver = Resolver(settings)
    seconds = []
    for cell in [cells[0], *cells]:
        prepared = resolver.prepare(cell)
        start = time.perf_counter()
        execute(prepared, settings, cache=open_cache(settings), force=True)
        seconds.append(time.perf_counter() - start)
    return sum(seconds[1:]) / len(cells)


def thousand(folder: Path, options: argparse.Namespace) -> list[Line]:
    """Many cells of `chance` by the command line, then their rows merged, rendered and exported."""
    count = 100 if options.brief else 1000
    suite = folder / "trivial.toml"
    suite.write_text(
        'title = "Trivial"\nsummary = "Many cells."\ndataset = "synthetic"\n'
        f"seeds = {list(range(1, count // 10 + 1))}\n"
        'splits = ["clean", "pareto", "step_k4", "step_k1", "step_k2"]\n'
        '[view]\nresize = 32\ncrop = 32\n[[methods]]\nname = "chance"\n'
        '[[methods]]\nname = "chance"\ngrid = 7\n'
    )
    words = {
        "plan": ["plan", str(suite), "--limit", "2", "--json"],
        "run": ["bench", str(suite), "--limit", "2", "--no-report", "--json"],
        "the same again": ["bench", str(suite), "--limit", "2", "--no-report", "--json"],
        "status": ["status", "--json"],
        "report": ["report", "--out", str(folder / "site")],
        "merge": ["results", "merge", str(folder / "runs"), "--results", str(folder / "merged")],
        "merge again, all compared": [
            "results",
            "merge",
            str(folder / "runs"),
            "--results",
            str(folder / "merged"),
        ],
        "diff": ["results", "diff", str(folder / "runs"), str(folder / "merged"), "--json"],
        "export": ["results", "export", str(folder / "rows.parquet")],
    }
    lines = [
        Line("thousand", f"{name}, {count} cells", _command(word, folder), "s")
        for name, word in words.items()
    ]
    import pyarrow.parquet as pq

    return [*lines, Line("thousand", "rows", pq.ParquetFile(folder / "rows.parquet").metadata.num_rows, "")]


def _command(words: Sequence[str], folder: Path) -> float:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LTBENCH_")}
    own = {"LTBENCH_HOME": str(folder / "home"), "LTBENCH_RESULTS": str(folder / "runs")}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "ltbench", *words],
        env={**inherited, **own},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr.decode()[-2000:])
    return time.perf_counter() - start


PARTS: dict[str, Callable[[Path, argparse.Namespace], list[Line]]] = {
    "demo": demo,
    "bank": bank,
    "jobs": jobs,
    "overhead": overhead,
    "thousand": thousand,
}


def main() -> None:
    """Measure the chosen parts, print them, write perf/out/runner.json; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m perf.runner", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--brief", action="store_true", help="one seed of the demo, 100 trivial cells")
    parser.add_argument(
        "--limit", type=int, help="images per category (default: all of the demo, 20 elsewhere)"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="file to write (default: perf/out/runner.json)")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}: expected some of {', '.join(PARTS)}")
    lines: list[Line] = []
    for name in options.parts or PARTS:
        with TemporaryDirectory(prefix=f"ltbench-perf-{name}-") as folder:
            found = PARTS[name](Path(folder), options)
        for line in found:
            print(
                f"{line.part:<9} {line.what:<48} {line.value:>10.4g} {line.unit:<2} {line.verdict}",
                flush=True,
            )
        lines += found
    options.out.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "lines": [asdict(line) for line in lines]}
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    raise SystemExit(any("wanted" in line.verdict for line in lines))


if __name__ == "__main__":
    main()
