"""Measurement of what a cell costs: seconds per stage, and peak memory of processor and GPU."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Stopwatch:
    """Seconds per stage of a cell, its threads and its peak memory."""

    device: str
    threads: int = 0
    """Threads of the process; 0 = unknown."""
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: dict[str, float] = field(default_factory=dict)

    def time(self, stage: str) -> _Lap:
        return _Lap(self, stage)

    def facts(self, tested: int) -> dict[str, Any]:
        score = self.seconds.get("score")
        return {
            "device": self.device,
            "threads": self.threads or None,
            "started_at": self.started_at,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **{f"{stage}_seconds": round(value, 4) for stage, value in self.seconds.items()},
            "score_ms_per_image": None if score is None or not tested else round(score * 1000 / tested, 4),
            # Of the whole process, which runs one cell.
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "peak_vram_mb": _peak_vram_mb(self.device),
        }


class _Lap:
    def __init__(self, watch: Stopwatch, stage: str) -> None:
        self._watch, self._stage = watch, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._watch.seconds[self._stage] = time.perf_counter() - self._start


def _peak_vram_mb(device: str) -> float | None:
    import torch

    if torch.device(device).type != "cuda":
        return None
    # What the process took from the device, its allocator's reserve included.
    peak: int = torch.cuda.max_memory_reserved(torch.device(device))
    return round(peak / 2**20, 1)
