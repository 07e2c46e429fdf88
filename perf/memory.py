"""Peak memory of one call, watched in a fresh process."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

from perf.comparison import Comparison, Side
from perf.comparisons import find


def peak_memory(comparison: str, side: str) -> float:
    """Megabytes (10⁶ bytes) that one call takes at its peak above what stood before, in a fresh process."""
    command = [sys.executable, "-m", "perf.memory", comparison, side]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])) / 1e6


def resident(field_name: str) -> int:
    """Bytes of this process' resident memory by /proc's name: "VmRSS" now, "VmHWM" at its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field_name + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field_name)


def watch_memory(comparison: Comparison, side: Side) -> int:
    """Bytes that one call takes at its peak above what stood before, in this process."""
    side.run(comparison.inputs(True))
    inputs = comparison.inputs(False)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    side.run(inputs)
    return resident("VmHWM") - before


def main() -> None:
    """Entry of the fresh process: print the bytes of one side as the last line."""
    comparison = find(sys.argv[1])
    side = next(each for each in (comparison.ours, *comparison.peers) if each.name == sys.argv[2])
    print(json.dumps(watch_memory(comparison, side)))


if __name__ == "__main__":
    main()
