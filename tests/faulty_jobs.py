"""Jobs that go wrong in every way a method can; importable by the processes under test."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from ltbench.splits.errors import SplitsError


def works(progress: Any) -> None:
    for _ in progress(range(3), "counting"):
        time.sleep(0.01)


def hangs(progress: Any) -> None:
    time.sleep(600)


def hangs_deaf(progress: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def raises(progress: Any) -> None:
    raise ZeroDivisionError("one over\nnothing")


def raises_expected(progress: Any) -> None:
    raise SplitsError("cannot read 'x.png': truncated")


def allocates(progress: Any) -> None:
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)) * 16)
        time.sleep(0.01)


def runs_out_of_memory(progress: Any) -> None:
    raise MemoryError


def segfaults(progress: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def killed(progress: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exits(progress: Any) -> None:
    os._exit(7)


def prints(progress: Any, count: int = 40) -> None:
    for number in range(count):
        sys.stdout.write(f"{number:07d} " + "x" * 99_990 + "\n")
    os.write(2, b"the last words\n")
