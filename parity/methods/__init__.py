"""Cases by method: each module holds the cases of one method in a tuple CASES."""

from __future__ import annotations

import importlib
import pkgutil

from parity.case import Case


def names() -> list[str]:
    """Methods that have cases, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def cases(method: str) -> tuple[Case, ...]:
    """The cases of a method, in the order of its stages."""
    found: tuple[Case, ...] = importlib.import_module(f"{__name__}.{method}").CASES
    return found
