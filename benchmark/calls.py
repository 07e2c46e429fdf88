"""Conversion of the Python interface's arguments into settings, methods and views; its progress bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from functools import partial
from itertools import repeat
from typing import Any

from ltbench.benchmark.console import console, watching
from ltbench.benchmark.declared import fields_of, require_method, typed_name
from ltbench.benchmark.engines import Watcher
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.selection import parse_view
from ltbench.benchmark.settings import Settings, leave_in_environment, load_settings
from ltbench.methods import catalog
from ltbench.methods.base import Method, Progress, Title, View, no_progress
from ltbench.results.status import Status


def settings_of(**given: Any) -> Settings:
    """Settings from arguments that are not None, the environment, ltbench.toml and the defaults."""
    settings = load_settings(given)
    leave_in_environment(settings)
    return settings


def chosen_method(
    method: str | object, fields: Mapping[str, Any] | None
) -> tuple[str, Mapping[str, Any], dict[str, Method]]:
    """(name, fields that are set, objects by name that the catalogue does not know)."""
    if isinstance(method, str):
        return method, dict(fields or {}), {}
    given = require_method(method)
    if fields is not None:
        raise UsageError(
            f"fields are given beside an object of '{type(method).__name__}': set them where it is made"
        )
    name, values = typed_name(given), fields_of(given)
    if name not in catalog.names():
        return name, values, {name: given}
    defaults = fields_of(catalog.create(name))
    return name, {field: value for field, value in values.items() if value != defaults[field]}, {}


def view_of(view: View | str | None, dataset: str) -> View:
    """The view itself, the one of a text such as "256/224", or the default one of the data set."""
    return view if isinstance(view, View) else parse_view(view or "", dataset)


@contextmanager
def progress_bars(titles: Sequence[str]) -> Iterator[Iterator[Progress]]:
    """One Progress per title, to be taken in turn: bars on a terminal, nothing elsewhere."""
    if not console.is_terminal:
        yield repeat(no_progress, len(titles))
        return
    with watching(titles) as watcher:

        def bars() -> Iterator[Progress]:
            for index in range(len(titles)):
                watcher.started(index)
                yield partial(_watched, watcher, index)
                watcher.finished(index, Status.OK, "")

        yield bars()


def _watched(
    watcher: Watcher, index: int, items: Iterable[Any], title: Title, total: int | None = None
) -> Iterator[Any]:
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    for done, item in enumerate(items):
        watcher.progressed(index, title() if callable(title) else title, done, total)
        yield item
