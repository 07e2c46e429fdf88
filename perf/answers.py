"""`python -m perf.answers`: processor time of commands that only answer, each in a process of its own."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

ROUNDS = 5
COMMANDS = (
    "--help",
    "methods ls",
    "methods show padim",
    "splits ls",
    "metrics ls",
    "status",
    "run --method pdim --split pareto",
    "run --method padim --split pareto --set ridg=1",
)


def seconds(words: list[str]) -> float:
    """Processor time of one `ltbench` command with its children, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "ltbench", *words], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the median, least and greatest time of each command; the rounds go over all commands in turn."""
    times: dict[str, list[float]] = {command: [] for command in COMMANDS}
    for _ in range(ROUNDS):
        for command, measured in times.items():
            measured.append(seconds(command.split()))
    for command, measured in times.items():
        middle = statistics.median(measured)
        print(f"{middle:6.2f} s  ({min(measured):.2f} to {max(measured):.2f})  ltbench {command}")


if __name__ == "__main__":
    main()
