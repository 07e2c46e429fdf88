"""What suites ask for, kept in the results folder: a report tells partial rows from whole ones by it.

One small file for each call's seeds, so that calls that share a table seed by seed, at the same time or in
folders that are merged later, do not overwrite one another. Whoever reads takes them together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ltbench.number_ranges import seed_ranges
from ltbench.results.errors import ResultsError
from ltbench.results.files import read_json, write_json
from ltbench.results.places import Place, matches
from ltbench.results.store import slug
from ltbench.results.upgrade import asked_upgraded

FOLDER = "suites"
ALL_ROWS, ROW = "suite", "row"
"""In a Setting, in the place of a method and of a field."""
PATTERN = f"{FOLDER}/*.json"
_TABLE = ("name", "dataset", "splits", "methods")
"""What makes two files speak of one table."""


@dataclass(frozen=True)
class Setting:
    """A field of a suite's rows of one method, and the place in the paper or its code that it comes from."""

    method: str
    """ALL_ROWS for what concerns all of them: view, seeds, splits."""
    field: str
    """ROW for the method's place in the paper's tables; a host's field as "dinomaly.size"."""
    value: str
    """Values of several rows with "; " between them."""
    source: str
    """ "" if none is known."""


@dataclass(frozen=True)
class AskedCell:
    """A cell that a suite asks for."""

    folder: str
    """Folder below the results folder."""
    dataset: str
    split: str
    """Name of the split, with the limit where there is one."""
    seed: int
    method: str

    @property
    def folder_name(self) -> str:
        """Last part of the folder: method and configuration."""
        return PurePosixPath(self.folder).name


@dataclass(frozen=True)
class Suite:
    """What a suite asks for: its methods on its splits with its seeds."""

    name: str
    title: str
    summary: str
    dataset: str
    splits: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: tuple[AskedCell, ...] = ()
    """All cells: a row need not run on every split."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What it calls its rows, by the name of their folders ("method-config10")."""
    settings: tuple[Setting, ...] = ()
    """Suites that follow a paper."""


def ask(root: Place, facts: Mapping[str, Any]) -> None:
    """Keep what a call asks for: JSON values with the fields of a Suite, and whatever else describes it.

    Files of the same suite that ask for another table, with other methods or splits, are dropped.
    """
    facts = json.loads(json.dumps(facts))
    stem = f"{slug(facts['name'])}-{slug(facts['dataset'])}"
    path = root / FOLDER / f"{stem}-seed{seed_ranges(facts['seeds'])}.json"
    for other in matches(root, PATTERN):
        stored = _read(other)
        if other == path and stored == facts:
            return
        same_suite = [stored.get(name) == facts[name] for name in _TABLE]
        if all(same_suite[:2]) and not all(same_suite):
            other.unlink()
    write_json(path, facts)


def suites(root: Place) -> list[Suite]:
    """Every suite once, with the seeds of all calls; raises ResultsError for a file that is none."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in matches(root, PATTERN):
        facts = asked_upgraded(read_json(path))
        try:
            key = (facts["name"], facts["dataset"])
            found[key] = united(found[key], facts) if key in found else facts
            _suite(facts)
        except (KeyError, TypeError) as error:
            raise ResultsError(
                f"'{path}' has no {error}: expected name, data set, splits, methods and seeds of a suite; "
                "delete it and run the suite again"
            ) from error
    return [_suite(facts) for facts in found.values()]


def merge_file(path: Place, target: Place) -> None:
    """Bring a file of another results folder to `target`; where one is, it asks for both from then on."""
    facts, there = asked_upgraded(read_json(path)), _read(target)
    both = united(there, facts) if there else facts
    if both != there:
        write_json(target, both)


def united(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """All that either asks for; descriptions are those of the first."""
    settings = {
        (setting["method"], setting["field"], setting["value"]): setting
        for facts in (two, one)
        for setting in facts.get("settings") or ()
    }
    lists = {
        name: list(dict.fromkeys([*one.get(name, ()), *two.get(name, ())]))
        for name in ("splits", "methods", "seeds")
    }
    cells = {cell["folder"]: cell for facts in (one, two) for cell in facts.get("cells") or ()}
    return {
        **two,
        **one,
        **lists,
        "seeds": sorted(lists["seeds"]),
        "cells": [cells[folder] for folder in sorted(cells)],
        "labels": {**(two.get("labels") or {}), **(one.get("labels") or {})},
        "settings": list(settings.values()),
    }


def _suite(facts: Mapping[str, Any]) -> Suite:
    return Suite(
        name=facts["name"],
        title=facts.get("title") or facts["name"],
        summary=facts.get("summary", ""),
        dataset=facts["dataset"],
        splits=tuple(facts["splits"]),
        methods=tuple(facts["methods"]),
        seeds=tuple(facts["seeds"]),
        cells=tuple(AskedCell(**cell) for cell in facts.get("cells") or ()),
        labels=facts.get("labels") or {},
        settings=tuple(Setting(**setting) for setting in facts.get("settings") or ()),
    )


def _read(path: Place) -> dict[str, Any]:
    """{} where there is no such file, or a damaged one, which the next writer replaces."""
    try:
        found = read_json(path)
    except ResultsError:
        return {}
    return asked_upgraded(found) if isinstance(found, dict) else {}
