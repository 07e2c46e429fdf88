"""Text of numbers, digests and counts in pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from ltbench.reports.numbers import Number
from ltbench.reports.tables import SUBSCRIPTED, Column
from ltbench.results.cell_record import flat_fields

DECIMALS = 2
"""Decimals of a score in percent in the pages' text; the script shows fewer, files have more."""


def number_text(number: Number, column: Column) -> str:
    """Mean as text: "87.3" for a score in percent; a cost in its column's unit."""
    if number.mean is None:
        return ""
    if column.unit:
        return amount(number.mean)
    return f"{100 * number.mean:z.{DECIMALS}f}".replace("-", "−")


def spread_text(number: Number, column: Column) -> str:
    """Standard deviation as text: "1.2"; "" if there is none."""
    if number.sd is None:
        return ""
    return amount(number.sd) if column.unit else f"{100 * number.sd:.{DECIMALS}f}"


def is_rounded_up(value: float, column: Column) -> bool:
    """Whether the text of a score ends in a five that was rounded up: 64.946 is written 64.95.

    To show one digit less, this must be known, or 64.946 would become 65.0.
    """
    if column.unit:
        return False
    percent = abs(100 * value)
    text = f"{percent:.{DECIMALS}f}"
    return text.endswith("5") and f"{percent:.{DECIMALS - 1}f}" == text[:-1]


def amount(value: float) -> str:
    """Three significant digits without an exponent: "0.0123", "4.57", "912", "12 345"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f}".replace(",", "\u202f")


def subscript(title: str) -> Markup:
    """ "C_t" with its t below the line; any other title, such as a category's name "A_1", as it is."""
    return Markup("{}<sub>{}</sub>").format(*title.split("_")) if title in SUBSCRIPTED else escape(title)


def short_digest(digest: str) -> str:
    return digest[:10]


def plural(count: int, noun: str, nouns: str = "") -> str:
    """ "1 seed", "3 seeds"."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def ticks(text: str) -> Markup:
    """Text in which `words` between back-ticks are code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def settings(fields: Mapping[str, Any]) -> str:
    """Hyper-parameters in one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(flat_fields(fields).items()))
