"""Validated reading of JSON values as frozen dataclasses, and their JSON schema."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cache, partial
from typing import Any

from ltbench.results.errors import ResultsError
from ltbench.results.places import Place

Read = Callable[[Any], Any]

_PLAIN: Mapping[type, tuple[str, str]] = types.MappingProxyType(
    {
        str: ("string", "a text"),
        int: ("integer", "a whole number"),
        float: ("number", "a number"),
        bool: ("boolean", "true or false"),
    }
)
"""Name of each plain type in a JSON schema and in an error message."""


class WrongValue(Exception):
    """A value is missing or has another type than its field."""

    def __init__(self, actual: str, expected: str) -> None:
        super().__init__(actual)
        self.actual, self.expected = actual, expected
        self.names: list[str] = []
        """Names of the fields from the outermost object to the value."""


@cache
def reader(kind: Any) -> Read:
    """Build the function that reads a JSON value as a type, or raises WrongValue.

    Args:
        kind: A dataclass, a plain type, a StrEnum, Any, "T | None", "tuple[T, ...]" or "Mapping[str, T]".
    """
    if kind is Any:
        return lambda value: value
    if dataclasses.is_dataclass(kind):
        return _object_reader(kind)
    if typing.get_origin(kind) is not None:
        return _generic_reader(kind)
    return partial(_choice if issubclass(kind, StrEnum) else _plain, kind)


def _generic_reader(kind: Any) -> Read:
    """Build the reader of "T or None", a tuple or a mapping."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        inner = reader(arguments[0])
        return lambda value: None if value is None else inner(value)
    member = reader(arguments[-1] if origin is Mapping else arguments[0])
    if origin is Mapping:
        return lambda value: {
            name: _within(name, member, part) for name, part in _as(dict, value, "an object").items()
        }
    return lambda value: tuple(
        _within(str(position), member, part) for position, part in enumerate(_as(list, value, "a list"))
    )


def _object_reader(kind: Any) -> Read:
    """Build the reader of a dataclass."""
    hints = typing.get_type_hints(kind)
    fields = [(one.name, reader(hints[one.name]), _is_required(one)) for one in dataclasses.fields(kind)]

    def read(value: Any) -> Any:
        content = _as(dict, value, "an object")
        values = {}
        for name, inner, required in fields:
            if name in content:
                values[name] = _within(name, inner, content[name])
            elif required:
                missing = WrongValue("no value", description(hints[name]))
                missing.names.append(name)
                raise missing
        return kind(**values)

    return read


def _within(name: str, read: Read, value: Any) -> Any:
    """Read a member, and add its name to the error of a wrong value."""
    try:
        return read(value)
    except WrongValue as wrong:
        wrong.names.insert(0, name)
        raise


def _as(kind: type | tuple[type, ...], value: Any, expected: str) -> Any:
    """Return a value of this Python type, or raise WrongValue."""
    if not isinstance(value, kind):
        raise WrongValue(repr(value), expected)
    return value


def _choice(kind: type[StrEnum], value: Any) -> StrEnum:
    """Read a member of a StrEnum."""
    try:
        return kind(value)
    except ValueError as error:
        raise WrongValue(repr(value), description(kind)) from error


def _plain(kind: type, value: Any) -> Any:
    """Read a text, number or Boolean."""
    # In Python, True is an int.
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise WrongValue(repr(value), description(kind))


def _is_required(field: dataclasses.Field[Any]) -> bool:
    """Check whether a field lacks a default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def checked(kind: Any, content: Any, path: Place, above: Sequence[str] = ()) -> Any:
    """Read a JSON object as a dataclass.

    Args:
        kind: The dataclass.
        content: The JSON object.
        path: File of the object, for the error message.
        above: Names of the objects that contain it.

    Raises:
        ResultsError: With the file and the field of a wrong value.
    """
    try:
        return reader(kind)(content)
    except WrongValue as wrong:
        name = ".".join([*above, *wrong.names]) or "the document"
        raise ResultsError(
            f"'{path}' has {wrong.actual} in '{name}': expected {wrong.expected}; "
            "run the cell again with --force"
        ) from wrong


def description(kind: Any) -> str:
    """Describe the values of a type in words.

    >>> description(str | None), description(tuple[int, ...])
    ('a text or null', 'a list')
    """
    if kind is Any:
        return "any value"
    if kind in _PLAIN:
        return _PLAIN[kind][1]
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return f"{description(typing.get_args(kind)[0])} or null"
    if origin is tuple:
        return "a list"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "one of " + ", ".join(kind)
    return "an object"


def json_schema(kind: Any) -> dict[str, Any]:
    """Build the JSON schema of a type for `reader`; docstrings of a dataclass' fields become descriptions."""
    if kind is Any:
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind][0]}
    if dataclasses.is_dataclass(kind):
        hints, texts = typing.get_type_hints(kind), field_texts(typing.cast(type, kind))
        fields = dataclasses.fields(kind)
        return {
            "type": "object",
            "description": inspect.getdoc(typing.cast(type, kind)),
            "properties": {
                one.name: {"description": texts[one.name], **_without_text(json_schema(hints[one.name]))}
                for one in fields
            },
            "required": [one.name for one in fields if _is_required(one)],
        }
    if typing.get_origin(kind) is not None:
        return _generic_schema(kind)
    return {"enum": list(kind)}


def _generic_schema(kind: Any) -> dict[str, Any]:
    """Build the JSON schema of "T or None", a tuple or a mapping."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return {"anyOf": [json_schema(arguments[0]), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": json_schema(arguments[0])}
    return {"type": "object", "additionalProperties": json_schema(arguments[1])}


def _without_text(schema: dict[str, Any]) -> dict[str, Any]:
    """Remove the description from a JSON schema."""
    return {name: value for name, value in schema.items() if name != "description"}


def field_texts(kind: type) -> dict[str, str]:
    """Read the docstring under each field of a dataclass from its source, in order."""
    (body,) = ast.parse(inspect.cleandoc(inspect.getsource(kind))).body
    texts, name = {}, ""
    for node in typing.cast(ast.ClassDef, body).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            texts[name] = " ".join(str(node.value.value).split())
            name = ""
    return texts
