"""Conversion of records of schema version 1, which need parsing of texts, to the current version."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ltbench.results.errors import ResultsError
from ltbench.results.places import Place
from ltbench.results.schema import SCHEMA_VERSION

_VIEW = re.compile(r"(resize|squeeze)(\d+)-crop(\d+)")
_LIMIT = re.compile(r"(.+)-limit(\d+)")
_SPLITS = (
    r"(?P<base>.+)\+noise(?P<added_noise>\d\d)(?P<added_to>heads)?(?P<added_stratified>_stratified)?",
    r"(?P<recipe>pareto)(?P<ablation>_ablation)?(_nr(?P<noise>\d\d))?",
    r"(?P<recipe>step)_k(?P<tail_images>\d+)(?P<ablation>_ablation)?(_nr(?P<noise>\d\d))?",
    r"(?P<recipe>ltad)_(?P<reverse>reverse_)?(?P<shape>exp|step)(?P<imbalance>\d+)",
    r"(?P<recipe>meds)_nr(?P<noise>\d\d)(_(?P<noise_of>total))?(_(?P<shortage>error|resample))?"
    r"(?P<stratified>_stratified)?",
    r"(?P<recipe>fewshot)_k(?P<images>\d+)",
    r"(?P<recipe>fuiad)_nr(?P<noise>\d\d)",
    r"(?P<recipe>clean)",
)
"""Patterns of split names; each named group is a parameter."""
_FLAGS = {"ablation", "added_stratified", "reverse", "stratified"}

_METRICS: Mapping[str, Mapping[str, Any]] = {
    "image_auroc": {"needs": "scores", "order": 10},
    "image_ap": {"needs": "scores", "order": 20},
    "image_f1max": {"needs": "scores", "order": 30},
    "pixel_auroc": {"needs": "maps", "order": 40},
    "pixel_ap": {"needs": "maps", "order": 50},
    "pixel_f1max": {"needs": "maps", "order": 60},
    "aupro": {"needs": "maps", "order": 70, "curve": "pro"},
}
"""Facts of the metrics of version 1, which did not store them."""


def upgraded(content: Any, path: Place) -> Any:
    """Convert the record of a finished or started cell to the current schema version.

    Raises ResultsError for a newer version, or an old record that cannot be parsed.
    """
    # Version 1 did not write its number into started.json.
    version = content.get("schema_version", 1) if isinstance(content, Mapping) else None
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ResultsError(
            f"'{path}' has schema version {version!r}, this ltbench reads up to {SCHEMA_VERSION}: "
            "update ltbench"
        )
    if version == SCHEMA_VERSION:
        return content
    try:
        return _from_version_1(content, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(
            f"'{path}' is no record of schema version 1 ({type(error).__name__}: {error}): "
            "run the cell again with --force"
        ) from error


def asked_upgraded(facts: dict[str, Any]) -> dict[str, Any]:
    """Convert a suite's requested cells to objects; version 1 stored the names of their folders."""
    cells = [_asked_cell(cell) if isinstance(cell, str) else cell for cell in facts.get("cells") or ()]
    return {**facts, "cells": cells} if "cells" in facts else facts


def _asked_cell(folder: str) -> dict[str, Any]:
    """Parse the folder of a requested cell."""
    dataset, split, seed, name = folder.split("/")
    return {
        "folder": folder,
        "dataset": dataset,
        "split": split,
        "seed": int(seed.removeprefix("seed")),
        "method": name.rpartition("-")[0],
    }


def _from_version_1(content: Mapping[str, Any], path: Place) -> dict[str, Any]:
    """Convert a record of schema version 1."""
    same, split, method = content["identity"], content["split"], content["method"]
    words = shlex.split(content["command"])
    settings = [word for before, word in pairwise(words) if before == "--set"]
    fields: dict[str, Any] = dict(text.split("=", 1) for text in settings)
    if "host_fields" in fields:
        fields["host_fields"] = _table(fields["host_fields"].split(","))
    limit = _LIMIT.fullmatch(same["split"])
    view = _VIEW.fullmatch(same["view"])
    if view is None:
        raise ValueError(f"view '{same['view']}'")
    cell = {
        "dataset": words[words.index("--dataset") + 1],
        "split": limit[1] if limit else same["split"],
        "seed": same["seed"],
        "method": same["method"],
        "fields": fields,
        "overlap": same.get("overlap_policy", "paper"),
        "view": {"resize": int(view[2]), "crop": int(view[3]), "squeeze": view[1] == "squeeze"},
        "limit": int(limit[2]) if limit else None,
        "label": "",
        # <results>/<data set>/<split>/<seed>/<method>/cell.json
        "folder": "/".join(str(path).split("/")[-5:-1]),
    }
    parameters = _parameters(cell["split"]) | ({"limit": cell["limit"]} if limit else {})
    recorded = dict(method["fields"])
    if isinstance(recorded.get("host_fields"), list):
        recorded["host_fields"] = _table(recorded["host_fields"])
    return {
        **content,
        "schema_version": SCHEMA_VERSION,
        "cell": cell,
        "identity": {"overlap_policy": "paper", **same},
        "split": {**split, "parameters": parameters},
        "method": {**method, "fields": recorded},
        "metrics": {name: {**_METRICS.get(name, {}), **facts} for name, facts in content["metrics"].items()},
    }


def _table(texts: list[str]) -> dict[str, Any]:
    """Parse the fields of a host, which version 1 stored as ["width=64", "layers=a|b"]."""
    pairs = [text.split("=", 1) for text in texts]
    return {name: _value(text) for name, text in pairs}


def _value(text: str) -> Any:
    """Parse a value of a host's field."""
    if "|" in text:
        return [_value(part) for part in text.split("|")]
    if text in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _parameters(split: str) -> dict[str, Any]:
    """Parse the parameters of a split from its name."""
    match = next(filter(None, (re.fullmatch(pattern, split) for pattern in _SPLITS)), None)
    if match is None:
        return {"recipe": "imported", "name": split}
    parsed = {name: _parameter(name, text) for name, text in match.groupdict().items() if text is not None}
    base = parsed.pop("base", None)
    return {**(_parameters(base) if base else {}), **parsed}


def _parameter(name: str, text: str) -> Any:
    """Parse a parameter in the name of a split."""
    if name in _FLAGS:
        return True
    if name in ("noise", "added_noise"):
        return int(text) / 100
    return int(text) if text.isdigit() else text
