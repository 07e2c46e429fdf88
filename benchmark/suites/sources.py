"""Sources of the values in the papers' suites, read from `sources.toml` by suite, method and field.

A table `[METHOD]` holds what is true in every suite; `["PAPER-*".METHOD]` and `["SUITE".METHOD]` replace it
in the suites of one paper and in one suite. The method `suite` means what concerns all rows: view, seeds and
splits. The field `row` says where a method stands in the paper's tables. A table `default` within a method's
names fields that suites leave at ltbench's defaults although the paper differs or leaves them open.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from ltbench.benchmark import suites
from ltbench.methods import catalog
from ltbench.results.asked import ALL_ROWS, ROW, Setting

FILE = Path(__file__).with_name("sources.toml")
DEFAULT = "default"
CHANGED = "set by hand; the suite has another value"

Keys = tuple[str, ...]


@cache
def content() -> dict[str, Any]:
    """The file as it is."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def of_papers() -> list[str]:
    """Names of the suites that follow a paper: their first word is in the file's table of papers."""
    return [name for name in suites.names() if name.partition("-")[0] in content()["papers"]]


def settings(suite: suites.Suite) -> list[Setting]:
    """All settings of a paper's suite in the order of its file; none for other suites."""
    if suite.name not in of_papers():
        return []
    whole = {"view": str(suite.view), "seeds": _text(suite.seeds), "splits": _text(suite.splits)}
    found = [_setting(suite, ALL_ROWS, name, value) for name, value in whole.items()]
    for method in dict.fromkeys(row.name for row in suite.methods):
        rows = [spread(row.fields) for row in suite.methods if row.name == method]
        found.append(_setting(suite, method, ROW, ""))
        names = list(dict.fromkeys(name for row in rows for name in row))
        for name in names:
            values = dict.fromkeys(_text(row[name]) for row in rows if name in row)
            found.append(_setting(suite, method, name, "; ".join(values)))
        for name, value in _defaults(suite.name, method).items():
            if name not in names:
                text = told(suite.name, method, DEFAULT, name)
                found.append(Setting(method, name, f"{_text(value)} (default)", text))
    return found


def facts(suite: suites.Suite) -> list[dict[str, str]]:
    """Settings of a requested suite as JSON values; a field changed by the user has no source in a paper."""
    asked = {(one.method, one.field): one.value for one in settings(suite)}
    if not asked:
        return []
    found = []
    for one in settings(suites.load(suite.name)):
        value = asked.get((one.method, one.field), one.value)
        kept = one.method == ALL_ROWS or value == one.value
        found.append(asdict(one if kept else replace(one, value=value, source=CHANGED)))
    return found


def told(suite: str, method: str, *field: str) -> str:
    """The source of a field, from the nearest table that has one; "" if none has."""
    keys = _nearest(suite, method, *field)
    return str(_at(keys)) if keys else ""


def spread(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a row; those of a host, which MeDS has in a table, by the host's name: "dinomaly.size"."""
    found = {name: value for name, value in fields.items() if name != "host_fields"}
    inner = fields.get("host_fields", {})
    return found | {f"{fields['host']}.{name}": value for name, value in inner.items()}


def unused() -> list[str]:
    """Entries of the file that no suite of a paper uses, as "ltad-*: padim: channels"."""
    used = set()
    for name in of_papers():
        suite = suites.load(name)
        for one in settings(suite):
            is_default = one.value.endswith(" (default)")
            used.add(_nearest(name, one.method, *([DEFAULT] if is_default else []), one.field))
    return [": ".join(keys) for keys in _entries(content()) if keys not in used]


def _setting(suite: suites.Suite, method: str, field: str, value: str) -> Setting:
    return Setting(method, field, value, told(suite.name, method, field))


def _nearest(suite: str, method: str, *field: str) -> Keys | None:
    """Keys of the entry that applies; a field of MeDS' host without one takes the host's own entry."""
    for level in _levels(suite):
        if isinstance(_at((*level, method, *field)), str):
            return (*level, method, *field)
    host, dot, name = field[-1].partition(".")
    return _nearest(suite, host, name) if dot else None


def _levels(suite: str) -> list[Keys]:
    return [(suite,), (f"{suite.partition('-')[0]}-*",), ()]


def _at(keys: Keys) -> Any:
    found: Any = content()
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _defaults(suite: str, method: str) -> dict[str, Any]:
    """Fields whose default is listed in the file, with their values."""
    names = [name for level in _levels(suite) for name in _at((*level, method, DEFAULT)) or ()]
    if not names:
        return {}
    values = catalog.config(catalog.create(method))
    return {name: values[name] for name in dict.fromkeys(names) if name in values}


def _entries(table: Mapping[str, Any], above: Keys = ()) -> Iterator[Keys]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            if (*above, key) not in {("papers",), ("repositories",)}:
                yield from _entries(value, (*above, key))
        else:
            yield (*above, key)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
