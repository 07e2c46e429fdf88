"""Status of a cell."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Outcome of running a cell."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "oom"
    KILLED = "killed"
    UNFINISHED = "started, not finished"
