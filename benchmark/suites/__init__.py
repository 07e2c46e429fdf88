"""Suites: whole tables of a paper (or of our own) as data, one TOML file each."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ltbench.benchmark.cell import Cell
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.metrics import select
from ltbench.benchmark.selection import default_view, parse_seeds
from ltbench.methods import catalog
from ltbench.methods.base import View
from ltbench.registry import UnknownName

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class SuiteMethod:
    """A row of the table."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    only: Sequence[str] = ("*",)
    """Splits that it is run on, as globs: papers choose some settings per split."""
    label: str = ""
    """Name of the row beside the method's title on boards ("Table 8, 8.1: ..."); "" = from its fields."""

    def runs_on(self, split: str) -> bool:
        return any(fnmatch.fnmatchcase(split, pattern) for pattern in self.only)


@dataclass(frozen=True)
class Suite:
    """Experiments behind a table: data set, splits, seeds and methods with their fields.

    A method with fewer finished seeds is shown without a rank.
    """

    name: str
    title: str
    summary: str
    dataset: str
    splits: Sequence[str]
    seeds: Sequence[int]
    methods: Sequence[SuiteMethod]
    default_for: Sequence[str] = ()
    """Data sets whose `make bench DATASET=` means this suite."""
    view: View = field(default_factory=View)
    metrics: tuple[str, ...] = ()
    """Names of the metrics to compute; none = the standard ones."""

    def cells(self, limit: int | None = None) -> list[Cell]:
        """All cells, split by split and seed by seed, so that tables fill up row by row."""
        return [
            Cell(
                self.dataset, split, seed, method.name, dict(method.fields),
                view=self.view, limit=limit, label=method.label, metrics=self.metrics,
            )
            for split in self.splits
            for seed in self.seeds
            for method in self.methods
            if method.runs_on(split)
        ]  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """Data set, splits, seeds and methods as JSON values."""
        methods = dict.fromkeys(catalog.recorded_name(row.name) for row in self.methods)
        return {**asdict(self), "methods": list(methods)}


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != "sources")


def load(name: str) -> Suite:
    """The suite of this name; raises UnknownName."""
    if name not in names():
        raise UnknownName("suite", name, names())
    return read(FOLDER / f"{name}.toml")


def read(path: Path) -> Suite:
    """Suite from a TOML file, built-in or the user's own.

    A table `[fields.NAME]` holds what all rows of a method have in common; a row's own fields win.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        common = content.pop("fields", {})
        methods = [_row(entry, common, path.parent) for entry in content.pop("methods")]
        view = View(**content.pop("view")) if "view" in content else default_view(content["dataset"])
        if "metrics" in content:
            content["metrics"] = select(content["metrics"])
        return Suite(name=path.stem, methods=methods, view=view, **content)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"cannot read the suite '{path}': {error}") from error


def _row(entry: dict[str, Any], common: Mapping[str, Mapping[str, Any]], folder: Path) -> SuiteMethod:
    name, only, label = entry.pop("name"), entry.pop("only", ("*",)), entry.pop("label", "")
    # The file of a method is looked for beside the suite.
    method = str(folder / name) if catalog.is_file(name) else name
    return SuiteMethod(method, {**common.get(name, {}), **entry}, only, label)


def default_for(dataset: str) -> Suite:
    """The suite of a data set: its own where there is one, else the demo's methods and splits on it."""
    kind = dataset.partition(":")[0]
    for name in names():
        suite = load(name)
        if kind in suite.default_for:
            return suite
    return load("demo")


def asked_suite(
    name: str,
    dataset: str | None,
    seeds: str | None = None,
    fields: Mapping[str, Any] | None = None,
    metrics: str = "",
) -> Suite:
    """The suite that a command line means: by name or file, or a data set's own; cut to some seeds.

    `fields` replace hyper-parameters of every method that has a field of that name, `metrics` those of the
    suite.
    """
    if name:
        suite = read(Path(name)) if name.endswith(".toml") else load(name)
    else:
        suite = default_for(dataset or "synthetic")
    if dataset:
        is_default = suite.view == default_view(suite.dataset)
        suite = replace(suite, dataset=dataset, view=default_view(dataset) if is_default else suite.view)
    if metrics:
        suite = replace(suite, metrics=select(metrics))
    if fields:
        suite = replace(suite, methods=[_with_fields(method, fields) for method in suite.methods])
    return replace(suite, seeds=parse_seeds(seeds)) if seeds else suite


def _with_fields(method: SuiteMethod, fields: Mapping[str, Any]) -> SuiteMethod:
    known = catalog.config(catalog.create(method.name))
    changed = dict(method.fields)
    for name, value in fields.items():
        if name in known:
            is_table = isinstance(value, Mapping)
            changed[name] = {**changed.get(name, {}), **value} if is_table else value
    return replace(method, fields=changed)
