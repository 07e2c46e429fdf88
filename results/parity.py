"""How far each method is from its authors' code, stage by stage: what `make parity` measured."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("parity.csv")


@dataclass(frozen=True)
class Stage:
    """One stage of a method, computed by ltbench and by its authors' code from the same inputs."""

    method: str
    """Name in the catalogue."""
    title: str
    """Name of the method as the field writes it."""
    stage: str
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
    """Fields of the method under which it equals the authors' code; "" = its defaults do."""
    default_difference: float | None
    """Difference at the method's defaults, where there is a `setting`."""
    verdict: str
    """"equal", "equal with SETTING", "declared deviation" or "differs"."""
    reason: str
    """Why a declared deviation remains."""


def read_stages(file: Path = FILE) -> tuple[Stage, ...]:
    """All stages, method by method."""
    with file.open(encoding="utf-8", newline="") as lines:
        return tuple(_stage(row) for row in csv.DictReader(lines))


@cache
def stages_of(method: str) -> tuple[Stage, ...]:
    """The stages of one method in their order; none for a method whose authors published no code."""
    return tuple(stage for stage in read_stages() if stage.method == method)


def write_stages(stages: tuple[Stage, ...], file: Path = FILE) -> None:
    """Write the data file that the site and the documentation are made from."""
    names = [field.name for field in fields(Stage)]
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(names)
        for stage in stages:
            writer.writerow(["" if (value := getattr(stage, name)) is None else value for name in names])


def _stage(row: dict[str, str]) -> Stage:
    default = row["default_difference"]
    numbers = {name: float(row[name]) for name in ("difference", "tolerance")}
    return Stage(**{**row, **numbers, "default_difference": float(default) if default else None})  # type: ignore[arg-type]
