"""Descriptions of methods without importing them: a method's module takes torch along, which takes seconds.

`python -m ltbench.benchmark.describe` writes descriptions.json from the classes; a test compares the two.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ltbench.methods import catalog
from ltbench.registry import file_digest

FILE = Path(__file__).with_name("descriptions.json")


@dataclass(frozen=True)
class Description:
    """A method as a table or a message needs it."""

    card: dict[str, Any]
    """The fields of `methods.base.Card`."""
    needs: tuple[str, ...]
    """Inputs that the method gets beyond pixels, sorted."""
    fields: dict[str, Any]
    """Hyper-parameters with their defaults as JSON values."""
    documentation: dict[str, str]
    """First sentence of each field's documentation."""


def describe(name: str) -> Description:
    """Describe a method by its name.

    A built-in method's stored description is taken if its file is unchanged; others are imported.
    Raises UnknownName, PluginError and BadParameter.
    """
    stored = _stored().get(name)
    if stored is not None and stored["sha256"] == _digest(name):
        return Description(**{**stored["description"], "needs": tuple(stored["description"]["needs"])})
    return described(name)


def require_fields(name: str, fields: Iterable[str]) -> None:
    """Raise BadParameter for the first of `fields` that the method lacks, before images are read."""
    for field in fields:
        catalog.require_field(name, field, describe(name).fields)


def described(name: str) -> Description:
    """Describe a method from its class, which is imported."""
    from ltbench.benchmark.declared import card_of, needs_of

    method = catalog.create(name)
    return Description(
        card=asdict(card_of(method)),
        needs=tuple(sorted(needs_of(method))),
        fields=catalog.config(method),
        documentation=field_documentation(type(method)),
    )


def field_documentation(method_class: type[Any]) -> dict[str, str]:
    """First sentence of the text under each field of the class' source."""
    source = inspect.getsource(method_class)
    found = re.findall(r'^    (\w+): [^\n]+\n    """(.+?)"""', source, flags=re.MULTILINE | re.DOTALL)
    return {field: " ".join(text.split()).split(". ")[0].rstrip(".") for field, text in found}


def built_in() -> list[str]:
    """Names of the methods whose descriptions are stored."""
    return [name for name in catalog.names() if catalog.METHODS.is_built_in(name)]


def document() -> str:
    """The content of descriptions.json."""
    content = {name: {"sha256": _digest(name), "description": asdict(described(name))} for name in built_in()}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _digest(name: str) -> str:
    return file_digest(Path(catalog.__file__).with_name(f"{name}.py"))


@cache
def _stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return {name: entry for name, entry in found.items() if name in built_in()}


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
