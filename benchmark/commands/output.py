"""Data on stdout: tables for reading, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

JSON_VERSION = 1
"""Raised when a document changes its meaning."""


def print_json(command: str, content: Mapping[str, Any]) -> None:
    """Print one JSON document with the command's name and the schema version; NaN is refused."""
    document = {"schema_version": JSON_VERSION, "command": command, **content}
    sys.stdout.write(json.dumps(document, indent=1, allow_nan=False, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print a table on stdout, numbers to the right; cells are not cut when the output is piped."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    numeric = [
        bool(rows) and all(isinstance(row[column], int | float) or row[column] in ("", "–") for row in rows)
        for column in range(len(columns))
    ]
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column, is_number in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(table)


def print_text(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")


def percent(value: float | None) -> float | str:
    """A share as a percentage for a table; a dash where there is none."""
    return "–" if value is None or value != value else 100 * value  # noqa: PLR0124  NaN differs from itself
