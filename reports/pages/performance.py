"""Speed and memory of the kernels behind the numbers, beside named peers: what `make perf` measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ltbench.reports.page import File, Page, Site
from ltbench.reports.writing import amount
from ltbench.results.performance import PERFORMANCE_FILE, Performance, read_performance

HIDDEN_FACTS = ("load", "numpy switches")


@dataclass(frozen=True)
class Side:
    """One way to do the job, as a line; empty texts where nothing was measured."""

    name: str
    is_ours: bool
    seconds: str
    ratio: str
    memory: str
    memory_ratio: str
    difference: str
    target: str
    verdict: str
    """ "met", "missed", or "" where there is no target."""
    word: str
    """What is to be said about the side beyond its target."""


@dataclass(frozen=True)
class Comparison:
    """Our side and its peers on the same inputs."""

    name: str
    size: str
    sides: tuple[Side, ...]
    limit: str
    """What bounds our side, and how much of it was reached."""

    @property
    def anchor(self) -> str:
        return "".join(letter if letter.isalnum() else "-" for letter in self.name.lower())


def exists(site: Site) -> bool:
    """True where the results folder holds what `make perf` wrote."""
    return (site.material.root / PERFORMANCE_FILE).exists()


def build(site: Site) -> Iterable[File]:
    path = site.material.root / PERFORMANCE_FILE
    found = read_performance(path)
    if found is None:
        return
    content = path.read_bytes()
    yield File(f"data/{PERFORMANCE_FILE}", content)
    yield site.page(
        PAGE.file(),
        "performance",
        PAGE,
        comparisons=comparisons(found),
        machine=[
            (name, value) for name, value in found.machine.items() if value and name not in HIDDEN_FACTS
        ],
        ceilings=list(found.ceilings.items()),
        is_brief=found.is_brief,
        accelerator=found.machine.get("accelerator", ""),
        days=sorted({str(when)[:10] for when in found.rows["measured_at"]}),
        loads=sorted({float(load) for load in found.rows["load"]}),
        file=PERFORMANCE_FILE,
    )


def comparisons(found: Performance) -> list[Comparison]:
    """As the page shows them, in the file's order."""
    made = []
    for name, rows in found.rows.groupby("comparison", sort=False):
        lines: list[Mapping[str, Any]] = rows.to_dict("records")
        made.append(
            Comparison(
                str(name), str(lines[0]["size"]), tuple(_side(line) for line in lines), _limit(lines[0])
            )
        )
    return made


def _side(line: Mapping[str, Any]) -> Side:
    verdict = str(line["verdict"] or "")
    target = str(line["target"] or "")
    is_missed = any(word in verdict for word in ("wanted", "differs", "failed"))
    judged = "missed" if is_missed else "met" if verdict == "ok" else ""
    return Side(
        name=str(line["side"]),
        is_ours=bool(line["ours"]),
        seconds=_amount(line["seconds"]),
        ratio=_amount(line["ratio"]),
        memory=_amount(line["peak_mb"]),
        memory_ratio=_amount(line["memory_ratio"]),
        difference="" if _is_missing(line["difference"]) else f"{line['difference']:.0e}",
        target=target,
        verdict=judged,
        word="" if verdict == "ok" else verdict,
    )


def _limit(line: Mapping[str, Any]) -> str:
    if not line["limit"]:
        return ""
    share = "" if _is_missing(line["share"]) else f": {100 * line['share']:.0f} % of it is reached"
    return f"{line['limit']}{share}"


def _amount(value: Any) -> str:
    return "" if _is_missing(value) else amount(float(value))


def _is_missing(value: Any) -> bool:
    return value is None or math.isnan(value)


PAGE = Page("performance", "Speed", 3, build=build, exists=exists)
