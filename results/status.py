"""How a cell can end."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How a cell ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "oom"
    KILLED = "killed"
    UNFINISHED = "started, not finished"
