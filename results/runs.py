"""Log of the calls that changed a results folder (cells, seconds, cache), one small file per call."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ltbench.results.files import read_json, write_json
from ltbench.results.places import Place, matches

FOLDER = "runs"
RUN_VERSION = 1


def write_run(root: Place, facts: Mapping[str, Any]) -> Place:
    """Store the facts of one call below `root`, in a file named by time, machine and process."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    path = root / FOLDER / f"{stamp}-{platform.node()}-{os.getpid()}.json"
    write_json(path, {"schema_version": RUN_VERSION, **facts})
    return path


def runs(root: Place) -> Iterator[Mapping[str, Any]]:
    """Read the stored calls, oldest first; raises ResultsError for a damaged file."""
    for path in matches(root, f"{FOLDER}/*.json"):
        yield read_json(path)


def sum_of(parts: Iterator[Mapping[str, Any]] | list[Mapping[str, Any]]) -> dict[str, int]:
    """Add up counts by name."""
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + int(value)
    return total
