"""Cells whose process misbehaves at the worst moment, once; importable by the processes under test."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.methods.base import View

VIEW = View(16, 16)


@dataclass(frozen=True)
class Fault:
    """The job of a cell; the first time that `seed` is run, `kind` happens to it."""

    kind: str
    seed: int
    happened: str
    """A file that remembers it."""

    def __call__(self, cell: Any, *rest: Any) -> None:
        from ltbench.benchmark.worker import run_cell

        if cell.seed == self.seed and not Path(self.happened).exists():
            Path(self.happened).touch()
            globals()[self.kind]()
        run_cell(cell, *rest)


@dataclass(frozen=True)
class CountedTraining:
    """The job of a cell that trains with AdamW: one byte per step into a file, killed once at one of them."""

    steps: str
    kill_at: int = 0

    def __call__(self, cell: Any, *rest: Any) -> None:
        import torch

        from ltbench.benchmark.worker import run_cell

        os.environ["LTBENCH_CHECKPOINT_SECONDS"] = "0"
        take = torch.optim.AdamW.step

        def step(optimizer: torch.optim.AdamW, *arguments: Any) -> Any:
            with Path(self.steps).open("ab") as file:
                file.write(b"x")
            if Path(self.steps).stat().st_size == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return take(optimizer, *arguments)

        torch.optim.AdamW.step = step  # type: ignore[method-assign]
        run_cell(cell, *rest)


def killed_before_its_record() -> None:
    """All files are there but the one that says so."""
    _instead_of_the_record(lambda: os.kill(os.getpid(), signal.SIGKILL))


def segfaults_before_its_record() -> None:
    _instead_of_the_record(lambda: ctypes.string_at(0))


def hangs_before_its_record() -> None:
    _instead_of_the_record(lambda: time.sleep(600))


def allocates_before_its_record() -> None:
    held = []

    def allocate() -> None:
        while True:
            held.append(bytearray(os.urandom(1 << 20)) * 16)
            time.sleep(0.01)

    _instead_of_the_record(allocate)


def killed_in_the_middle_of_a_file() -> None:
    """A temporary file is written and not yet renamed."""
    calls = []

    def kill(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = kill  # type: ignore[assignment]


def finds_no_space() -> None:
    """As a full disk behaves: files end short of what was asked for."""
    import resource

    # Without a handler the signal would end the process instead of the write.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


def prints_without_end() -> None:
    line = "x" * 99_999 + "\n"

    def print_much() -> None:
        for _ in range(2_500):
            sys.stdout.write(line)

    _before_the_record(print_much)


def lives_in_another_century() -> None:
    """The clock jumps to and fro with every look at it."""
    looks = []

    def jump() -> float:
        looks.append(1)
        return (-1) ** len(looks) * 3e9

    time.time = jump


def _instead_of_the_record(happens: Any) -> None:
    from ltbench.results.writer import CellWriter

    CellWriter.finish = lambda self, record: happens()  # type: ignore[method-assign]


def _before_the_record(happens: Any) -> None:
    from ltbench.results.writer import CellWriter

    whole = CellWriter.finish

    def finish(self: CellWriter, record: Any) -> Any:
        happens()
        return whole(self, record)

    CellWriter.finish = finish  # type: ignore[method-assign]


class Quiet:
    """A watcher that tells nobody."""

    def started(self, index: int) -> None: ...

    def progressed(self, index: int, stage: str, done: int, total: int) -> None: ...

    def finished(self, index: int, status: Any, error: str) -> None: ...


def drive(
    tree: str, results: str, home: str, seeds: Sequence[int], engine: str = "local", **more: Any
) -> Any:
    """What `ltbench run` does with the method `chance`, without its words; returns the outcome."""
    from ltbench.benchmark.cell import Cell
    from ltbench.benchmark.engines import Options
    from ltbench.benchmark.run import plan, run
    from ltbench.benchmark.settings import Settings
    from ltbench.results.places import place

    cells = [Cell(f"folder:{tree}", "clean", seed, "chance", {}, view=VIEW) for seed in seeds]
    settings = Settings(**{"home": Path(home), "results": place(results), "jobs": 1, **more})
    return run(
        plan(cells, settings).cells,
        settings,
        Options(keep_maps="all"),
        lambda *_: nullcontext(Quiet()),
        engine=engine,
    )
