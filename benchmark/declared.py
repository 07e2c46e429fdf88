"""Read what a method declares: its fields, needs, card and version, and where its class is written."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import linecache
import sys
import typing
import uuid
from functools import cache
from pathlib import Path
from typing import Any

from ltbench.methods import catalog
from ltbench.methods.base import Card, Method, Need
from ltbench.methods.errors import BadParameter

OWN_FAMILY = "own"
"""Family on the card of a class that brings no card."""


def require_method(candidate: object) -> Method:
    """Return `candidate` if it is an object that can fit and score. Raises BadParameter."""
    if isinstance(candidate, type):
        raise BadParameter(
            f"the method is the class '{candidate.__name__}': expected an object, e.g. {candidate.__name__}()"
        )
    missing = [name for name in ("fit", "score") if not callable(getattr(candidate, name, None))]
    if missing:
        raise BadParameter(
            f"the method is a '{type(candidate).__name__}' without {' and '.join(missing)}: expected the "
            "name of a method, or an object with fit(train, context) and score(test, context)"
        )
    return typing.cast(Method, candidate)


def name_of(method: Method) -> str:
    """Name under which results of a method are stored: that of the catalogue, else that of its class.

    Raises BadParameter where a class of one's own is called like a method of the catalogue.
    """
    kind = type(method)
    package, _, module = kind.__module__.rpartition(".")
    # Another built-in module is not imported only to see that its class is a different one.
    candidates: list[str] = [
        name
        for name in catalog.names()
        if not catalog.METHODS.is_built_in(name) or (package == "ltbench.methods" and name == module)
    ]
    for name in candidates:
        if catalog.load_class(name) is kind:
            return name
    if kind.__name__ in catalog.names():
        raise BadParameter(
            f"the class '{kind.__name__}' is called like a method of the catalogue: give it another name"
        )
    return kind.__name__


def typed_name(method: Method) -> str:
    """Name by which the command line finds a method: "FILE.py:CLASS" for a dataclass in a file of its own.

    A class of a script or notebook cannot be found again, and has its bare name.
    """
    kind, name = type(method), name_of(method)
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    is_found = name == kind.__qualname__ and kind.__module__ != "__main__" and dataclasses.is_dataclass(kind)
    if not file or not is_found or not catalog.is_file(file):
        return name
    path = Path(file)
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{name}"


def fields_of(method: Method) -> dict[str, Any]:
    """Hyper-parameters of a method as JSON values. Raises BadParameter where they cannot be recorded."""
    kind = type(method)
    if not dataclasses.is_dataclass(method):
        if vars(method):
            raise BadParameter(
                f"'{kind.__name__}' keeps {', '.join(sorted(vars(method)))} and is no dataclass: decorate it "
                "with @dataclass, so that its fields are recorded with every result"
            )
        return {}
    try:
        fields: dict[str, Any] = catalog.config(method)
    except (TypeError, ValueError) as error:
        raise BadParameter(
            f"a field of '{kind.__name__}' cannot be recorded ({error}): expected numbers, texts, true or "
            "false, None, or tuples of them; build everything else in fit"
        ) from error
    for field in dataclasses.fields(method):
        # As the command line reads it: 2 and 2.0 are one configuration.
        if field.type in (float, "float") and type(fields.get(field.name)) is int:
            fields[field.name] = float(fields[field.name])
    return fields


def needs_of(method: Method | type[Method]) -> frozenset[Need]:
    """Needs that a method declares beyond pixels; none where its class declares none. Raises BadParameter."""
    needs = frozenset(getattr(method, "needs", ()))
    unknown = sorted(map(str, needs - set(typing.get_args(Need))))
    if unknown:
        raise BadParameter(
            f"'{_class_of(method).__name__}' needs '{unknown[0]}': expected some of "
            f"{', '.join(typing.get_args(Need))}"
        )
    return needs


def version_of(method: Method) -> int:
    """Version of a method's code; 1 if its class declares none. Raises BadParameter."""
    version = getattr(method, "version", 1)
    if not isinstance(version, int):
        raise BadParameter(f"'{type(method).__name__}' has version '{version}': expected a whole number")
    return version


def card_of(method: Method | type[Method]) -> Card:
    """Card of a method; made of the class' name and docstring where it brings none of its own."""
    kind = _class_of(method)
    card = getattr(method, "card", None)
    if card is None:
        words = "" if _docstring_is_generated(kind) else inspect.getdoc(kind) or ""
        return Card(title=kind.__name__, family=OWN_FAMILY, summary=words.partition("\n\n")[0])
    if not isinstance(card, Card):
        raise BadParameter(
            f"'{kind.__name__}' has a card of type '{type(card).__name__}': expected ltbench.Card"
        )
    # A subclass is another method than the one whose card it inherits.
    return card if "card" in vars(kind) else dataclasses.replace(card, title=kind.__name__)


def source_digest(kind: type) -> str:
    """sha256 of the files or notebook cells in which a class and its bases are written, 64 hex digits.

    "" for a class of this package, whose code has a version. A class whose source cannot be read (typed at a
    prompt) has a digest that no other process repeats, so that its results are never taken for current ones.
    """
    if _is_ours(kind):
        return ""
    bases = [base for base in kind.__mro__ if not _is_ours(base)]
    functions = [value for base in bases for value in vars(base).values() if inspect.isfunction(value)]
    # A notebook's class has no file, but its functions know their cell.
    files = {inspect.unwrap(function).__code__.co_filename for function in functions}
    files |= {getattr(sys.modules.get(base.__module__), "__file__", None) or "" for base in bases}
    texts = []
    for file in sorted(files):
        # The file may have been edited since another class of it was looked up.
        linecache.checkcache(file)
        texts.append("".join(linecache.getlines(file)))
    if not any(texts):
        return _digest_of_unreadable(kind)
    return hashlib.sha256("\0".join(sorted(texts)).encode()).hexdigest()


def _class_of(method: Method | type[Method]) -> type[Method]:
    return method if isinstance(method, type) else type(method)


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "ltbench"


def _docstring_is_generated(kind: type) -> bool:
    """Whether @dataclass wrote the docstring: "MyMethod(k: int = 3)"."""
    return (kind.__doc__ or "").startswith(f"{kind.__name__}(")


@cache
def _digest_of_unreadable(kind: type) -> str:  # noqa: ARG001  one digest a class
    return hashlib.sha256(uuid.uuid4().bytes).hexdigest()
