"""Child processes that may hang, run out of memory, crash or print without end, watched from outside."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ltbench.benchmark.journal import Journal
from ltbench.benchmark.processor import avoid_slow_sort
from ltbench.benchmark.worker import Advanced, Ended, Noted, work
from ltbench.results.status import Status

LOG_HEAD_BYTES = 1 << 20
"""A log keeps its first mebibyte and its last 64 KiB: a method that prints gigabytes fills no disk."""
LOG_TAIL_BYTES = 1 << 16
# Imported once in the fork server, so that each cell's own process starts in milliseconds.
PRELOAD = [
    "torch",
    "faiss",
    "scipy.ndimage",
    "pandas",
    "pyarrow.parquet",
    "ltbench.benchmark.execute",
    "ltbench.methods.features.extract",
]


@dataclass
class Child:
    """One job in one process."""

    process: Any
    events: Connection
    log: LogReader
    timeout: float
    memory_bytes: float
    journal: Journal | None = None
    started: float = field(default_factory=time.monotonic)
    ended: Ended | None = None
    advanced: Advanced | None = None
    noted: dict[str, Any] = field(default_factory=dict)
    """Facts that the job left for its parent."""

    def poll(self) -> bool:
        """Read the child's messages and enforce the limits; True while it runs."""
        try:
            while self.events.poll():
                event = self.events.recv()
                if isinstance(event, Ended):
                    self.ended = event
                elif isinstance(event, Noted):
                    self.noted |= event.facts
                else:
                    self.advanced = event
                    if self.journal is not None:
                        self.journal.step(event.stage, event.done, event.total)
        except (EOFError, OSError):
            pass
        if self.journal is not None:
            self.journal.beat()
        if not self.process.is_alive():
            return False
        if self.ended is None:
            self._enforce_limits()
        return True

    def result(self) -> Ended:
        """Outcome of the process; to be called after `poll` returned False."""
        self.process.join()
        # The last words may have arrived between the last look and the end.
        self.poll()
        self.log.close()
        ended = self._end()
        if self.journal is not None:
            self.journal.close(str(ended.status), ended.error, time.monotonic() - self.started)
        return ended

    def _end(self) -> Ended:
        if self.ended is not None:
            return self.ended
        code = self.process.exitcode or 0
        if code < 0:
            name = signal.Signals(-code).name
            return Ended(Status.KILLED, f"the cell's process was ended by {name}")
        return Ended(Status.ERROR, f"the cell's process ended with exit code {code} and said nothing")

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def _enforce_limits(self) -> None:
        seconds = time.monotonic() - self.started
        if self.timeout and seconds > self.timeout:
            self.ended = Ended(
                Status.TIMEOUT, f"the cell took more than the {self.timeout:g} seconds of --timeout"
            )
        used = _resident_bytes(self.process.pid) if self.memory_bytes else 0
        if self.memory_bytes and used > self.memory_bytes:
            gigabytes = self.memory_bytes / 1e9
            self.ended = Ended(
                Status.OUT_OF_MEMORY, f"the cell took more than the {gigabytes:g} GB of --memory-gb"
            )
        if self.ended is not None:
            self.process.kill()


class LogReader:
    """Drains what a child prints into a bounded file and keeps the tail."""

    def __init__(self, source: Connection, path: Path) -> None:
        self._source, self._path = source, path
        self._tail = b""
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(timeout=5)

    def tail(self, lines: int = 20) -> str:
        """Last lines of the child's output."""
        return "\n".join(self._tail.decode(errors="replace").splitlines()[-lines:])

    def _drain(self) -> None:
        written = 0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("wb") as file:
                while chunk := os.read(self._source.fileno(), 1 << 16):
                    self._tail = (self._tail + chunk)[-LOG_TAIL_BYTES:]
                    if written < LOG_HEAD_BYTES:
                        file.write(chunk[: LOG_HEAD_BYTES - written])
                        file.flush()
                    written += len(chunk)
                if written > LOG_HEAD_BYTES:
                    file.write(f"\n[... {written} bytes were printed; the end:]\n".encode() + self._tail)
        except OSError:
            # A log that cannot be written must not stop a measurement; the pipe is drained all the same.
            while os.read(self._source.fileno(), 1 << 16):
                pass
        finally:
            self._source.close()


class Processes:
    """Starts children from a fork server that has the heavy imports done."""

    def __init__(self, threads_per_child: int, also: Iterable[str] = ()) -> None:
        """`also` names further modules that every child will need."""
        self._threads = threads_per_child
        # Read when the libraries are loaded, so before the fork server starts.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, str(threads_per_child))
        avoid_slow_sort()
        self._multiprocessing = multiprocessing.get_context("forkserver")
        self._multiprocessing.set_forkserver_preload([*PRELOAD, *also])

    def start(
        self,
        job: Callable[..., None],
        arguments: tuple[Any, ...],
        log: Path,
        *,
        timeout: float = 0,
        memory_gb: float = 0,
        journal: Journal | None = None,
    ) -> Child:
        """Run `job(*arguments, progress)` in a new process; what it prints goes to `log`."""
        events, events_in = self._multiprocessing.Pipe(duplex=False)
        log_out, log_in = self._multiprocessing.Pipe(duplex=False)
        process = self._multiprocessing.Process(
            target=work, args=(job, arguments, events_in, log_in, self._threads), daemon=True
        )
        _start_fork_server()
        process.start()
        # Ours must be closed, or the end of the child would not end the pipes.
        events_in.close()
        log_in.close()
        if journal is not None:
            journal.open(pid=process.pid, host=platform.node(), threads=self._threads)
        return Child(process, events, LogReader(log_out, log), timeout, memory_gb * 1e9, journal)


def _start_fork_server() -> None:
    """Start the fork server, unless it runs, deaf to Ctrl-C: it would print where it was in its imports."""
    # It is started with the fork server otherwise, and lets signals through again.
    resource_tracker.ensure_running()
    # What is blocked here is blocked in a process that is started meanwhile, and comes to us afterwards.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
