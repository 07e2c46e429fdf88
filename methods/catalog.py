"""Methods by name: the folder is the registry, one module a method."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
import math
import pkgutil
import types
import typing
from typing import Any

from ltbench import methods
from ltbench.methods.base import Method
from ltbench.methods.errors import BadParameter, UnknownMethod
from ltbench.methods.features.published_weights import SHIPPED

# Modules of this folder that serve the methods and are none themselves.
_SHARED = {"base", "catalog", "errors"}
WEIGHT_FIELDS = ("backbone", "text_encoder", "encoder")
"""Fields of a method that name networks."""


def names() -> list[str]:
    """Names of all methods, without importing any of them."""
    found = {module.name for module in pkgutil.iter_modules(methods.__path__) if not module.ispkg}
    return sorted(found - _SHARED)


def load_class(name: str) -> type[Method]:
    """The class of the method called `name`: the only one with a card in its module. Raises UnknownMethod."""
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise UnknownMethod(f"unknown method '{name}': {hint}known are {', '.join(names())}")
    module = importlib.import_module(f"ltbench.methods.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "card")
    ]
    if len(found) != 1:
        raise BadParameter(f"methods/{name}.py has {len(found)} classes with a 'card': expected exactly one")
    return found[0]


def create(name: str, **fields: Any) -> Method:
    """A method with these hyper-parameters; texts, as typed on a command line, become the fields' types.

    Raises UnknownMethod and BadParameter.
    """
    method_class = load_class(name)
    known = {field.name: field for field in dataclasses.fields(typing.cast(Any, method_class)) if field.init}
    hints = typing.get_type_hints(method_class)
    converted = {}
    for field, value in fields.items():
        if field not in known:
            close = difflib.get_close_matches(field, known, n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise BadParameter(f"{name} has no field '{field}': {hint}known are {', '.join(sorted(known))}")
        converted[field] = _convert(name, field, value, hints[field])
    return method_class(**converted)


def config(method: Method) -> dict[str, Any]:
    """The method's fields as JSON values: exactly what configures it and what is recorded."""
    fields = dataclasses.fields(typing.cast(Any, method))
    values = {field.name: getattr(method, field.name) for field in fields if field.init}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def pretrained(method: Method) -> list[str]:
    """Networks with pretrained weights that the method's fields name; one with random weights has no ":"."""
    named = [str(getattr(method, field)) for field in WEIGHT_FIELDS if getattr(method, field, "")]
    return [name for name in named if ":" in name or name in SHIPPED]


def _convert(method: str, field: str, value: Any, kind: Any) -> Any:
    """`value` as `kind`; a text is parsed, a list becomes a tuple, an int may stand for a float."""
    for option in _options(kind):
        accepted, result = _try(value, option)
        if accepted:
            return result
    raise BadParameter(f"{method}'s field '{field}' is {value!r}: expected {_describe(kind)}")


def _options(kind: Any) -> tuple[Any, ...]:
    """The members of a union, else the type itself; text last, since every text would match it."""
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        return tuple(sorted(typing.get_args(kind), key=lambda option: option is str))
    return (kind,)


def _try(value: Any, kind: Any) -> tuple[bool, Any]:
    """(whether `value` can be a `kind`, as what)."""
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return _choose(value, {str(choice): choice for choice in typing.get_args(kind)})
    if kind is types.NoneType:
        return value is None or value == "none", None
    if kind is bool:
        return _choose(str(value).lower(), {"true": True, "1": True, "false": False, "0": False})
    if origin is tuple:
        parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
        member = typing.get_args(kind)[0]
        tried = [_try(part, member) for part in parts] if isinstance(parts, list | tuple) else [(False, None)]
        return all(ok for ok, _ in tried), tuple(result for _, result in tried)
    return _try_plain(value, kind)


def _choose(value: Any, choices: dict[str, Any]) -> tuple[bool, Any]:
    return str(value) in choices, choices.get(str(value))


def _try_plain(value: Any, kind: Any) -> tuple[bool, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False, None
    try:
        result = kind(value)
    except (ValueError, OverflowError):
        return False, None
    if kind is float and not math.isfinite(result):
        return False, None
    # 0.5 is no int, but "3" and 3.0 are.
    return kind is not int or isinstance(value, str) or result == value, result


def _describe(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(_describe(option) for option in typing.get_args(kind))
    if kind is types.NoneType:
        return "none"
    if origin is tuple:
        return f"a comma list of {_describe(typing.get_args(kind)[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return names.get(kind, str(kind))
