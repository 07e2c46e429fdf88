"""The authors' repositories: where their clones lie, and how single modules of them are imported."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "LTBENCH_OFFICIAL"
"""Environment variable that names the folder of clones."""


class Unavailable(Exception):
    """A clone, or a library that it needs, is not on this machine."""


@dataclass(frozen=True)
class Repository:
    """A public repository at the commit that was compared."""

    folder: str
    """Subfolder of the folder of clones."""
    url: str
    commit: str
    """Leading digits of the commit."""
    licence: str
    """"none" = no licence file: read and run, never copied."""

    @property
    def instruction(self) -> str:
        """The commands that make the clone."""
        return f"git clone {self.url} {self.folder} && git -C {self.folder} checkout {self.commit}"


@dataclass(frozen=True)
class Clone:
    """A clone on this machine."""

    root: Path

    def load(self, module: str, below: str = "", stubs: tuple[str, ...] = ()) -> ModuleType:
        """Import a module of the clone, e.g. load("models.uad", below="dinomaly", stubs=("wandb",)).

        below: folder of the clone that the authors start their scripts in. stubs: libraries that are
        imported there but not needed for what is compared; each is replaced by an object whose every
        attribute is a class that accepts anything.
        """
        return _load(self.root / below, module, stubs)


def open_clone(repository: Repository) -> Clone:
    """Find the clone of a repository.

    Raises Unavailable, with the commands that make it, if it is missing or at another commit.
    """
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        raise Unavailable(f"set {VARIABLE} to a folder of clones; there, run: {repository.instruction}")
    root = Path(folder).expanduser() / repository.folder
    if not root.is_dir():
        raise Unavailable(f"no clone '{root}': in '{folder}', run: {repository.instruction}")
    done = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    head = done.stdout.strip()
    if not head.startswith(repository.commit):
        raise Unavailable(
            f"the clone '{root}' is at commit '{head[:7]}', compared is '{repository.commit}': "
            f"run: git -C {root} checkout {repository.commit}"
        )
    return Clone(root)


@cache
def _load(path: Path, module: str, stubs: tuple[str, ...]) -> ModuleType:
    with _importing_from(path, stubs), warnings.catch_warnings():
        # Old code uses what its libraries have since renamed.
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and (path / error.name.replace(".", "/")).exists():
                raise
            raise Unavailable(f"the authors' code needs the library '{error.name}'") from error


@contextmanager
def _importing_from(path: Path, stubs: tuple[str, ...]) -> Iterator[None]:
    """Put `path` and stubs in front of all other modules, and take everything back afterwards."""
    theirs = {entry.stem for entry in path.iterdir() if entry.suffix == ".py" or entry.is_dir()}
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in theirs}
    replaced = {name: sys.modules.get(name) for name in stubs}
    sys.modules.update({name: Stub(name) for name in stubs})
    sys.path.insert(0, str(path))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(path))
        for name in [name for name in sys.modules if name.split(".")[0] in theirs]:
            del sys.modules[name]
        for name, module in replaced.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
        sys.modules.update(hidden)


class _AcceptsAnything(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


class Anything(metaclass=_AcceptsAnything):
    """A class that accepts any argument and whose every attribute is itself."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        pass

    def __call__(self, *args: Any, **_fields: Any) -> Any:
        # A decorator of a stubbed library leaves the function as it is.
        return args[0] if args and callable(args[0]) else Anything()

    def __lt__(self, other: object) -> bool:
        # "If this library is older than": it is not.
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class Stub(ModuleType):
    """A module whose every attribute is Anything."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # torch asks whether some libraries are there.
        self.__spec__ = ModuleSpec(name, None)
        # Lets submodules be stubbed too.
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything
