"""Methods by name: modules of this folder, of installed packages, of the user's folder, or one file."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ltbench.home_folders import expanded
from ltbench.methods.base import Method
from ltbench.methods.errors import BadParameter
from ltbench.methods.features.published_weights import SHIPPED
from ltbench.registry import Registry, did_you_mean, load_file

METHODS = Registry(
    "method", "ltbench.methods", group="methods", shared=frozenset({"base", "catalog", "errors"})
)
"""Each is a module with one class that has a `card`; an entry point may name the class."""
WEIGHT_FIELDS = ("backbone", "text_encoder", "encoder")
"""Fields of a method that name networks."""


def names() -> list[str]:
    """Names of all methods, without importing any of them."""
    return METHODS.names()


def is_file(name: str) -> bool:
    """Whether a method is named by its file, as "path/to/file.py:Class"."""
    return Path(name.rpartition(":")[0] or name).suffix == ".py"


def recorded_name(name: str) -> str:
    """Name under which results of a method are stored: of one in a file that of its class."""
    return name.rpartition(":")[2] if is_file(name) else name


def load_class(name: str) -> type[Method]:
    """The class of the method called `name`, or "path/to/file.py:Class".

    Raises:
        UnknownName: no method has this name.
        PluginError: its module or file cannot be imported.
        BadParameter: it is no method.
    """
    if is_file(name):
        return _class_of_file(name)
    loaded = METHODS.load(name)
    if not isinstance(loaded, types.ModuleType):
        return _require_method(loaded, f"method '{name}'")
    classes = _own_classes(loaded)
    with_card = [kind for kind in classes.values() if hasattr(kind, "card")]
    if len(with_card) != 1:
        raise BadParameter(
            f"'{loaded.__file__}' has {len(with_card)} classes with a 'card': expected exactly one"
        )
    return _require_method(with_card[0], f"method '{name}'")


def _class_of_file(name: str) -> type[Method]:
    file, _, class_name = name.rpartition(":")
    if not file:
        raise BadParameter(f"method '{name}' names no class: write 'FILE.py:CLASS', e.g. '{name}:MyMethod'")
    classes = _own_classes(load_file(expanded(file)))
    if class_name not in classes:
        there = f"its classes are {', '.join(sorted(classes))}" if classes else "it has none"
        raise BadParameter(
            f"'{file}' has no class '{class_name}': {did_you_mean(class_name, classes)}{there}"
        )
    return _require_method(classes[class_name], f"class '{class_name}' in '{file}'")


def _own_classes(module: types.ModuleType) -> dict[str, type]:
    """Classes that a module defines, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }


def _require_method(candidate: Any, title: str) -> type[Method]:
    missing = [part for part in ("fit", "score") if not hasattr(candidate, part)]
    if missing:
        raise BadParameter(
            f"{title} is no method, it lacks {' and '.join(missing)}: 'ltbench methods new NAME' writes one "
            "that has both"
        )
    if not dataclasses.is_dataclass(candidate):
        raise BadParameter(
            f"{title} is no dataclass: write @dataclass above the class, so that its fields are recorded"
        )
    return typing.cast(type[Method], candidate)


def create(name: str, **fields: Any) -> Method:
    """A method with these hyper-parameters; texts, as typed on a command line, become the fields' types.

    Raises UnknownName, PluginError and BadParameter.
    """
    method_class = load_class(name)
    known = {field.name: field for field in dataclasses.fields(typing.cast(Any, method_class)) if field.init}
    hints = typing.get_type_hints(method_class)
    converted = {}
    for field, value in fields.items():
        require_field(name, field, known)
        converted[field] = _convert(name, field, value, hints[field])
    return method_class(**converted)


def require_field(name: str, field: str, known: Collection[str]) -> None:
    """Raise BadParameter if the method called `name` has no such field."""
    if field not in known:
        hint = did_you_mean(field, known)
        # "host.width=8" on a command line is an entry of the table "host_fields".
        entry = f" (set by {field.removesuffix('_fields')}.NAME)" if field.endswith("_fields") else ""
        raise BadParameter(
            f"{name} has no field '{field}'{entry}: {hint}known are {', '.join(sorted(known))}"
        )


def config(method: Method) -> dict[str, Any]:
    """The method's fields as JSON values: exactly what configures it and what is recorded."""
    fields = dataclasses.fields(typing.cast(Any, method))
    values = {field.name: getattr(method, field.name) for field in fields if field.init}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def pretrained(method: Method) -> list[str]:
    """Networks with pretrained weights that the method's fields name.

    A backbone is always one, known or not; another network without ":" in its name has random weights.
    """
    named = {field: str(getattr(method, field)) for field in WEIGHT_FIELDS if getattr(method, field, "")}
    return [name for field, name in named.items() if field == "backbone" or ":" in name or name in SHIPPED]


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
    if origin is Mapping:
        return isinstance(value, Mapping), value
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
    if origin is Mapping:
        return "a table of fields"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return names.get(kind, str(kind))
