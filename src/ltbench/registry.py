"""Plug-ins by name: modules of a built-in folder, of installed packages and of the user's own folder."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import os
import pkgutil
import sys
import tomllib
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER_VARIABLE = "LTBENCH_PLUGINS"
"""Environment variable with the folder of plug-ins; it wins over `plugins` in ltbench.toml."""
SETTINGS_FILE = "ltbench.toml"


class PluginError(Exception):
    """A plug-in does not exist or cannot be loaded. The message is one sentence for the user."""

    exit_code = 2


class UnknownName(PluginError):
    """Nothing of this kind has this name."""

    def __init__(self, kind: str, name: str, known: Iterable[str], advice: str = "") -> None:
        known = sorted(known)
        listed = f"known are {', '.join(known)}" + (f"; {advice}" if advice else "")
        super().__init__(f"unknown {kind} '{name}': {did_you_mean(name, known)}{listed}")


def did_you_mean(name: str, known: Iterable[str], most: int = 1) -> str:
    """The hint "did you mean 'NAME'? " with the closest known names, at most so many, or ""."""
    close = difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, close))}? " if close else ""


@dataclass(frozen=True)
class Registry:
    """All plug-ins of one kind; listing their names imports none of them.

    Example:
        METRICS = Registry("metric", "ltbench.benchmark.metrics", group="metrics", attribute="METRIC")
        METRICS.names()        # ["aupimo", "aupro", ...]
        METRICS.load("aupro")  # METRIC of the module ltbench.benchmark.metrics.aupro
    """

    kind: str
    """Noun in messages: "data set"."""
    package: str
    """Package whose modules are the built-in plug-ins; subpackages and names with "_" in front are none."""
    group: str = ""
    """Group "metrics": entry points of the group "ltbench.metrics" count too, and files of the subfolder
    metrics/ in the folder of plug-ins; "" = only the built-in modules."""
    attribute: str = ""
    """Attribute of the module that is the plug-in; "" = the module. Entry points may name it directly."""
    shared: frozenset[str] = frozenset()
    """Modules of the package that serve the plug-ins and are none themselves."""
    separator: str = "_"
    """Sign of the plug-ins' names that stands for "_" in the names of files."""
    advice: str = ""
    """End of the message about an unknown name."""

    def names(self) -> list[str]:
        """Names of all plug-ins, sorted."""
        return sorted(self._sources())

    def load(self, name: str) -> Any:
        """The plug-in called `name`. Raises UnknownName, or PluginError if it cannot be loaded."""
        source = self._source(name)
        if isinstance(source, str):
            loaded: Any = importlib.import_module(source)
        elif isinstance(source, Path):
            loaded = load_file(source)
        else:
            loaded = _load_entry_point(self.kind, source)
        if not self.attribute or not isinstance(loaded, ModuleType):
            return loaded
        if not hasattr(loaded, self.attribute):
            raise PluginError(
                f"{self.kind} '{name}' has no '{self.attribute}': expected one in '{loaded.__file__}'"
            )
        return getattr(loaded, self.attribute)

    def is_built_in(self, name: str) -> bool:
        """Whether `name` is a module of the built-in folder."""
        return any(isinstance(source, str) for source in self._sources().get(name, ()))

    def digest(self, name: str) -> str:
        """sha256 of the file of a plug-in from the folder of plug-ins; "" for a module of a package.

        Packages have versions; a loose file has none, so its content identifies what it computes.
        """
        source = self._source(name)
        return file_digest(source) if isinstance(source, Path) else ""

    def _source(self, name: str) -> str | Path | metadata.EntryPoint:
        sources = self._sources()
        if name not in sources:
            raise UnknownName(self.kind, name, sources, self.advice)
        first, *others = sources[name]
        if others:
            places = " and ".join(f"'{_place(source)}'" for source in (first, *others))
            raise PluginError(f"{self.kind} '{name}' exists twice, as {places}: rename one of them")
        return first

    def _sources(self) -> dict[str, list[str | Path | metadata.EntryPoint]]:
        """Module names, files and entry points by name of the plug-in."""
        found: dict[str, list[str | Path | metadata.EntryPoint]] = {}
        for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
            if not module.ispkg and module.name not in self.shared:
                found.setdefault(module.name, []).append(f"{self.package}.{module.name}")
        folder = plugins_folder() if self.group else None
        for file in sorted((folder / self.group).glob("*.py")) if folder else ():
            found.setdefault(file.stem, []).append(file)
        named = {
            name.replace("_", self.separator): sources
            for name, sources in found.items()
            if not name.startswith("_")
        }
        for entry in _entry_points(f"ltbench.{self.group}", tuple(sys.path)) if self.group else ():
            named.setdefault(entry.name, []).append(entry)
        return named


def plugins_folder() -> Path | None:
    """The folder of plug-ins that the environment or ltbench.toml names, or None."""
    try:
        named = os.environ.get(FOLDER_VARIABLE) or read_settings(Path(SETTINGS_FILE)).get("plugins")
    except (OSError, ValueError) as error:
        raise PluginError(f"cannot read '{SETTINGS_FILE}': {error}") from error
    if not named:
        return None
    # An unknown user's "~name" stays as it is, and is then said not to exist.
    folder = Path(os.path.expanduser(str(named)))  # noqa: PTH111  Path.expanduser raises
    if not folder.is_dir():
        raise PluginError(f"folder of plug-ins '{named}' does not exist: create it or change the setting")
    return folder


def read_settings(file: Path) -> dict[str, Any]:
    """The content of a settings file; empty if there is none. Raises OSError and ValueError."""
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def file_digest(path: Path) -> str:
    """sha256 of a Python file, 64 hex digits. Raises PluginError."""
    return hashlib.sha256(_read(path)).hexdigest()


def load_file(path: Path) -> ModuleType:
    """Import a Python file that belongs to no package, once per content.

    Raises PluginError, with the line, for a file that is missing, no Python, or fails while it is imported.
    """
    source = _read(path)
    # Place and content, so that a changed file is another module.
    key = hashlib.sha256(str(path.resolve()).encode() + b"\0" + source).hexdigest()
    name = f"ltbench_plugin_{path.stem}_{key[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path.resolve())
    # Dataclasses and type hints look their module up.
    sys.modules[name] = module
    try:
        exec(compile(source, module.__file__, "exec"), module.__dict__)
    except SyntaxError as error:
        del sys.modules[name]
        raise PluginError(f"'{path}' is no valid Python, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)]
        where = f"line {lines[1]}: " if len(lines) > 1 else ""
        raise PluginError(f"'{path}' cannot be imported, {where}{type(error).__name__}: {error}") from error
    return module


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PluginError(
            f"file '{path}' cannot be read ({error.strerror}): expected a Python file"
        ) from error


def _load_entry_point(kind: str, entry: metadata.EntryPoint) -> Any:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise PluginError(f"{kind} '{entry.name}' of '{_place(entry)}' cannot be loaded: {error}") from error


def _place(source: str | Path | metadata.EntryPoint) -> str:
    if isinstance(source, metadata.EntryPoint):
        return source.dist.name if source.dist else source.value
    return str(source)


@lru_cache
def _entry_points(group: str, search_path: tuple[str, ...]) -> tuple[metadata.EntryPoint, ...]:  # noqa: ARG001
    """Entry points of installed packages, once per search path: reading their metadata takes a while."""
    return tuple(metadata.entry_points(group=group))
