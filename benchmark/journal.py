"""Journal of a cell, one JSON line per event, for other programs and monitoring."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

JOURNAL_FILE = "log.jsonl"
STEP_EVERY_SECONDS = 10.0
"""A long stage is written down this often; a new one at once."""
MOST_BYTES = 1 << 20
"""A journal of a cell that was tried very often starts anew."""


@dataclass
class Journal:
    """Appends events to one file; a file that cannot be written never stops a measurement."""

    path: Path
    clock: Callable[[], float] = time.monotonic
    _stage: str = field(default="", repr=False)
    _written: float = field(default=float("-inf"), repr=False)

    def open(self, **facts: Any) -> None:
        """Record the start of the cell's process."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > MOST_BYTES:
                self.path.unlink()
        except OSError:
            return
        self._write("started", **facts)

    def step(self, stage: str, done: int, total: int) -> None:
        """Record the progress of a stage when it begins, and a few times a minute."""
        if stage != self._stage or self.clock() - self._written >= STEP_EVERY_SECONDS:
            self._stage = stage
            self._write("step", stage=stage, done=done, total=total)

    def beat(self) -> None:
        """Update the file's time, as a sign of life of a cell that reports no steps."""
        if self.clock() - self._written >= STEP_EVERY_SECONDS:
            self._written = self.clock()
            try:
                os.utime(self.path)
            except OSError:
                return

    def close(self, status: str, error: str, seconds: float) -> None:
        """Record the end of the cell's process."""
        self._write("finished", status=status, error=error, seconds=round(seconds, 3))

    def _write(self, event: str, **facts: Any) -> None:
        self._written = self.clock()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"at": now, "event": event, **facts}, ensure_ascii=False) + "\n"
        try:
            # One write of one line: readers meanwhile see whole lines.
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError:
            return
