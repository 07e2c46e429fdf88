"""Differences between each method and its authors' code, stage by stage, as measured by `make parity`."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("parity.csv")


@dataclass(frozen=True)
class Stage:
    """Stage of a method, computed by ltbench and by its authors' code from the same inputs."""

    method: str
    """Name of the method in ltbench."""
    title: str
    """Name of the method as in the literature."""
    stage: str
    """Description of the stage."""
    repository: str
    """Address of the authors' repository."""
    commit: str
    licence: str
    difference: float
    """Largest absolute difference as a share of the largest absolute value; for selected indices and labels
    the share of entries that differ."""
    tolerance: float
    """Largest difference that counts as equal."""
    setting: str
    """Fields of the method that make it equal to the authors' code; "" = its defaults."""
    default_difference: float | None
    """Difference at the method's defaults, if there is a `setting`."""
    verdict: str
    """"equal", "equal with SETTING", "declared deviation" or "differs"."""
    reason: str
    """Reason for a declared deviation."""


def read_stages(file: Path = FILE) -> tuple[Stage, ...]:
    """Read all stages, method by method."""
    with file.open(encoding="utf-8", newline="") as lines:
        return tuple(_stage(row) for row in csv.DictReader(lines))


@cache
def stages_of(method: str) -> tuple[Stage, ...]:
    """Stages of one method in order; none for a method without published code."""
    return tuple(stage for stage in read_stages() if stage.method == method)


def write_stages(stages: tuple[Stage, ...], file: Path = FILE) -> None:
    """Write the data file from which the site and the documentation are generated."""
    names = [field.name for field in fields(Stage)]
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(names)
        for stage in stages:
            writer.writerow(["" if (value := getattr(stage, name)) is None else value for name in names])


def _stage(row: dict[str, str]) -> Stage:
    """Parse a row of the data file."""
    default = row["default_difference"]
    numbers = {name: float(row[name]) for name in ("difference", "tolerance")}
    return Stage(**{**row, **numbers, "default_difference": float(default) if default else None})  # type: ignore[arg-type]
