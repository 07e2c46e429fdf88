"""The inside of a cell's own process."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.settings import Settings, leave_in_environment
from ltbench.benchmark.threads import tune_malloc
from ltbench.results.status import Status

REPORT_EVERY_SECONDS = 0.2


@dataclass(frozen=True)
class Advanced:
    """Progress of a long step: items done, of all."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Noted:
    """Message with facts for the parent process."""

    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """The process has done its work; nothing follows."""

    status: Status
    error: str = ""


@dataclass(frozen=True)
class Known:
    """Facts that the parent process has looked up on the same machine, so that no cell has to repeat it."""

    weights_digest: str
    config_digest: str
    environment: Mapping[str, Any]


def work(
    job: Callable[..., None], arguments: tuple[Any, ...], events: Connection, log: Connection, threads: int
) -> None:
    """Run `job(*arguments, progress)` here and send its outcome to `events`; its output goes to `log`."""
    # Ctrl-C reaches the whole terminal group; the parent decides what becomes of its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (1, 2):
        os.dup2(log.fileno(), stream)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable()
    _limit_threads(threads)
    tune_malloc()
    try:
        job(*arguments, PipedProgress(events))
    except MemoryError:
        traceback.print_exc()
        events.send(Ended(Status.OUT_OF_MEMORY, "the machine had no memory left for the cell"))
    except Exception as error:  # noqa: BLE001  a method may raise anything, and its row must say what
        traceback.print_exc()
        status = Status.OUT_OF_MEMORY if is_out_of_memory(error) else Status.ERROR
        events.send(Ended(status, describe(error)))
    else:
        events.send(Ended(Status.OK))


def run_cell(cell: Any, settings: Settings, options: Any, known: Known | None, progress: Any) -> None:
    """The job of a cell: look everything up again by name and execute."""
    from ltbench.benchmark.device import settle
    from ltbench.benchmark.execute import execute
    from ltbench.benchmark.feature_cache import open_cache
    from ltbench.benchmark.resolve import Resolver

    settle(settings.device)
    leave_in_environment(settings)
    prepared = Resolver(settings).prepare(cell, known.weights_digest if known else None)
    if known and prepared.facts.config_digest != known.config_digest:
        raise UsageError(f"the file of method '{cell.method}' was edited after the run began: run it again")
    execute(
        prepared,
        settings,
        cache=open_cache(settings),
        progress=progress,
        keep_maps=options.keep_maps,
        rank=options.rank_training,
        force=options.force,
        machine=known.environment if known else None,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch, or of the CUDA libraries below it, means that memory ran out."""
    said = str(error)
    named = type(error).__name__ == "OutOfMemoryError"
    return named or "CUDA error: out of memory" in said or "_STATUS_ALLOC_FAILED" in said


def describe(error: BaseException) -> str:
    """One line for a result row: the message of an expected error; for others, their type, too."""
    sentence = " ".join(str(error).split())
    expected = hasattr(error, "exit_code")
    return sentence if expected and sentence else f"{type(error).__name__}: {sentence}"


class PipedProgress:
    """A Progress that sends its state to the parent, a few times per second."""

    def __init__(self, events: Connection) -> None:
        self._events = events

    def __call__(
        self, items: Iterable[Any], title: str | Callable[[], str], total: int | None = None
    ) -> Iterator[Any]:
        if total is None:
            total = len(items) if isinstance(items, Sized) else 0
        reported = 0.0
        for done, item in enumerate(items):
            now = time.monotonic()
            if now - reported >= REPORT_EVERY_SECONDS:
                self._events.send(Advanced(title() if callable(title) else title, done, total))
                reported = now
            yield item

    def note(self, facts: Mapping[str, Any]) -> None:
        """Leave facts for the parent."""
        self._events.send(Noted(facts))


def _limit_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    import faiss

    faiss.omp_set_num_threads(threads)
