"""Requested cells of suites, stored in the results folder, by which reports recognise incomplete rows.

Each call writes one small file for its seeds, so that calls that divide the seeds of a table, at the same
time or in folders that are merged later, do not overwrite each other. Readers combine all files.
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
"""Special values of the method and of the field of a Setting."""
PATTERN = f"{FOLDER}/*.json"
_TABLE = ("name", "dataset", "splits", "methods")
"""Fields that are equal in two files of the same table."""


@dataclass(frozen=True)
class Setting:
    """Value of a method's field in a suite, and its source in the paper or the authors' code."""

    method: str
    """Name of the method; ALL_ROWS for view, seeds and splits, which concern all methods."""
    field: str
    """Name of the field, a host's as "dinomaly.size"; ROW for the method's row in the paper's tables."""
    value: str
    """Value, or the values of several rows separated by "; "."""
    source: str
    """Source of the value; "" if unknown."""


@dataclass(frozen=True)
class AskedCell:
    """Cell that a suite requests."""

    folder: str
    """Folder below the results folder."""
    dataset: str
    split: str
    """Name of the split, including a limit."""
    seed: int
    method: str

    @property
    def folder_name(self) -> str:
        """Last part of the folder: method and configuration."""
        return PurePosixPath(self.folder).name


@dataclass(frozen=True)
class Suite:
    """Methods, splits and seeds that a suite requests."""

    name: str
    title: str
    summary: str
    dataset: str
    splits: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: tuple[AskedCell, ...] = ()
    """All requested cells; not every method runs on every split."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Row labels by the name of their folders ("method-config10")."""
    settings: tuple[Setting, ...] = ()
    """Settings with their sources, for suites that follow a paper."""


def ask(root: Place, facts: Mapping[str, Any]) -> None:
    """Store the cells that a call requests.

    Files of the same suite with other methods or splits are deleted.

    Args:
        root: Results folder.
        facts: JSON values with the fields of a Suite, and any further description.
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
    """Read all stored suites, files of the same suite merged; raises ResultsError for an invalid file."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for path in matches(root, PATTERN):
        facts = asked_upgraded(read_json(path))
        try:
            key = (facts["name"], facts["dataset"])
            merged[key] = united(merged[key], facts) if key in merged else facts
            _suite(facts)
        except (KeyError, TypeError) as error:
            raise ResultsError(
                f"'{path}' has no {error}: expected name, data set, splits, methods and seeds of a suite; "
                "delete it and run the suite again"
            ) from error
    return [_suite(facts) for facts in merged.values()]


def merge_file(path: Place, target: Place) -> None:
    """Copy a file of another results folder to `target`, merged with the file that is already there."""
    facts, present = asked_upgraded(read_json(path)), _read(target)
    both = united(present, facts) if present else facts
    if both != present:
        write_json(target, both)


def united(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the requests of two files; descriptions are those of the first."""
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
    """Build a Suite from JSON values."""
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
    """Read a file; {} if it is missing or damaged, in which case the next writer replaces it."""
    try:
        content = read_json(path)
    except ResultsError:
        return {}
    return asked_upgraded(content) if isinstance(content, dict) else {}
