"""Boards that differ in one number of their split: noise ratio, imbalance, images per rare category."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ltbench.reports.cube import ALL
from ltbench.reports.entries import Entry
from ltbench.reports.figures import rank_changes as changes
from ltbench.reports.figures import score_by_parameter as curves
from ltbench.reports.leaderboard import GROUP_TITLES, Sheet
from ltbench.reports.numbers import Number


@dataclass(frozen=True)
class Axis:
    """A parameter of splits as the axis of a figure."""

    title: str
    factor: float = 1.0
    """Factor from the parameter to the number on the axis."""
    is_log: bool = True


_AXES: Mapping[str, Axis] = MappingProxyType(
    {
        "noise": Axis("defects asked for among training images, %", 100.0, is_log=False),
        "added_noise": Axis("defects added to training images, %", 100.0, is_log=False),
        "imbalance": Axis("imbalance factor"),
        "tail_images": Axis("images per rare category"),
        "images": Axis("images per category"),
    }
)
"""Parameters of splits that can be an axis, by name."""
MOST_METHODS = 8


@dataclass(frozen=True)
class Family:
    """Boards of one data set whose splits differ in one number, ascending."""

    dataset: str
    base: str
    """Parameters that all boards share: "step, tail_images 4"."""
    axis: Axis
    members: Sequence[tuple[float, Sheet]]

    @property
    def name(self) -> str:
        """Identifier of the family: "mvtec-meds"."""
        return re.sub(r"[^A-Za-z0-9]+", "-", f"{self.dataset}-{self.base}-{self.axis.title.split()[0]}")

    @property
    def title(self) -> str:
        return f"{self.members[0][1].board.dataset_title}: {self.base}"


def families(sheets: Sequence[Sheet]) -> list[Family]:
    """Families of at least two boards, in the order of the boards."""
    found: dict[tuple[str, str, str, str], dict[float, Sheet]] = {}
    for sheet in sheets:
        board = sheet.board
        parameters = board.splits[board.seeds[0]].parameters
        for name in _AXES.keys() & parameters.keys():
            base = _base({key: value for key, value in parameters.items() if key != name})
            members = found.setdefault((board.dataset, board.overlap_policy, base, name), {})
            members.setdefault(round(_AXES[name].factor * parameters[name], 6), sheet)
    return [
        Family(dataset, base, _AXES[name], sorted(members.items(), key=lambda member: member[0]))
        for (dataset, _, base, name), members in found.items()
        if len(members) > 1
    ]


def _base(parameters: Mapping[str, Any]) -> str:
    """Parameters as text: {"recipe": "step", "tail_images": 4} -> "step, tail_images 4"."""
    others = {name: value for name, value in parameters.items() if name != "recipe"}
    words = [name if value is True else f"{name} {value}" for name, value in sorted(others.items())]
    return ", ".join([str(parameters["recipe"]), *words])


def family_figures(family: Family) -> Iterator[tuple[str, str]]:
    """(name, SVG): score of all and of rare categories over the number, and how the order changes."""
    metric = family.members[0][1].board.metrics[0]
    names = family.members[0][1].board.group_names
    rare = next((name for name in names if name in ("tail", "low")), None)
    for group in (ALL, rare):
        if group is None:
            continue
        lines = _lines(family, group)
        shown = [one for one in lines if sum(number is not None for number in one[1]) > 1][:MOST_METHODS]
        if not shown:
            continue
        yield (
            f"{family.name}-{group}",
            curves.score_by_parameter(
                [curves.Curve(label, _readings(family, numbers)) for label, numbers in shown],
                title=f"{metric.title}, {GROUP_TITLES.get(group, group).replace('_', '')}",
                parameter=family.axis.title,
                subtitle=f"{family.title}; band: 95 % interval over seeds",
                metric=metric.title,
                is_log=family.axis.is_log,
            ),
        )
    moved = [
        changes.Change(label, first.mean, last.mean)
        for label, (first, *_, last) in _lines(family, ALL)
        if first is not None and last is not None and first.mean is not None and last.mean is not None
    ]
    if len(moved) > 1:
        ends = (family.members[0][1].board.split, family.members[-1][1].board.split)
        yield (
            f"{family.name}-order",
            changes.rank_changes(
                moved, title="Order of the methods", names=ends, subtitle=f"{family.title}, {metric.title}"
            ),
        )


def _lines(family: Family, group: str) -> list[tuple[str, list[Number | None]]]:
    """(label, number per board) of every method with a number, the best on the first board first."""
    entries: dict[tuple[str, str], Entry] = {}
    found: dict[tuple[str, str], list[Number | None]] = {}
    for place, (_, sheet) in enumerate(family.members):
        table = sheet.metrics[0]
        at = next((i for i, c in enumerate(table.columns) if c.key.endswith(f".{group}")), None)
        for line in table.lines if at is not None else ():
            number = line.numbers[at]  # type: ignore[index]
            key = (line.entry.method, line.entry.config_digest)
            entries.setdefault(key, line.entry)
            row = found.setdefault(key, [None] * len(family.members))
            row[place] = number if number.mean is not None else None
    return [(entries[key].label, numbers) for key, numbers in found.items() if any(numbers)]


def _readings(family: Family, numbers: Sequence[Number | None]) -> list[curves.Reading]:
    readings = []
    for (at, _), number in zip(family.members, numbers, strict=True):
        if number is None or number.mean is None:
            readings.append(curves.Reading(at, math.nan))
        else:
            # With seeds missing the interval is as wide as the axis.
            known = number.interval if number.standing is not None else None
            low, high = known or (math.nan, math.nan)
            readings.append(curves.Reading(at, number.mean, low, high))
    return readings
