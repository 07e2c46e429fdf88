"""Start-up tuning of a process that computes: memory allocation without page faults."""

from __future__ import annotations

import ctypes
import os
import platform

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
OPT_OUT = "LTBENCH_NO_MALLOPT"


def keeps_memory() -> bool:
    """Whether cells keep freed memory: with glibc, unless LTBENCH_NO_MALLOPT is set."""
    return not os.environ.get(OPT_OUT) and platform.libc_ver()[0] == "glibc"


def tune_malloc() -> bool:
    """Keep freed memory in the process (glibc); True if done. Called at the start of a cell's process.

    By default glibc maps every block over 32 MB anew and returns it when freed: in kernels that allocate such
    blocks in a loop, the page faults cost more than the arithmetic. LTBENCH_NO_MALLOPT=1 leaves it alone.
    """
    if not keeps_memory():
        return False
    libc = ctypes.CDLL("libc.so.6")
    return bool(libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    )
