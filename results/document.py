"""Write `docs/results.md` and `docs/cell.schema.json`: `python -m ltbench.results.document`."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltbench.results import ranking, schema
from ltbench.results.reading import description, field_texts, json_schema
from ltbench.results.record import Record
from ltbench.results.schema import Column
from ltbench.results.store import (
    CURVES_FILE,
    GALLERY_FILE,
    LOG_FILE,
    MAPS_FILE,
    METRICS_FILE,
    RECORD,
    SCORES_FILE,
    STARTED,
)

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "results.md"
JSON_SCHEMA = DOCS / "cell.schema.json"

_FILES = (
    (
        RECORD,
        "record: the cell, how it was run, how it ended; written last, so that it marks a complete cell",
    ),
    (METRICS_FILE, "one row per category and metric"),
    (SCORES_FILE, "one row per test image"),
    (CURVES_FILE, "points of the PRO curves"),
    (MAPS_FILE, "patch score grids, float32 (images, height, width), ordered as the scores (`--keep-maps`)"),
    (GALLERY_FILE, "patch score grids of the test images that reports show, by key"),
    (ranking.RANKING_FILE, "training images by anomaly score, highest first (`--rank-training`)"),
    (ranking.CORRECTION_FILE, "measures of that ranking, one row per category"),
    (LOG_FILE, "output of the cell"),
    (STARTED, "first part of the record while the cell runs; deleted when it has finished"),
)

_INTRODUCTION = """# Stored results

Written by `python -m ltbench.results.document` from `results/record.py` and `results/schema.py`.
Change those files, not this page.

A cell (one method on one split with one seed) is a folder below the results folder:
`<data set>/<split>/seed<seed>/<method>-<first 10 digits of its config digest>/`.
Readers need not parse these names: all of their parts are fields of the record.
"""

_RECORD = f"""
In Python, `Store(Path("runs")).cells()` of `ltbench.results.store` gives every cell. Its `record` is the
object described here (`ltbench.results.record.Record`); `metrics()`, `scores()` and `curves()` are tables.

## Record: `{RECORD}`

Schema version {schema.SCHEMA_VERSION}, also as a JSON schema: [{JSON_SCHEMA.name}]({JSON_SCHEMA.name}).
Records of older versions are read as if they were of this one (`results/upgrade.py`); newer ones are refused.
Names that are not listed are ignored. A field in *italics* may be missing.
"""


def page() -> str:
    """Render the page, ending with a newline."""
    tables = (
        (METRICS_FILE, schema.METRIC_COLUMNS),
        (SCORES_FILE, schema.SCORE_COLUMNS),
        (CURVES_FILE, schema.CURVE_COLUMNS),
        (ranking.RANKING_FILE, ranking.RANKING_COLUMNS),
        (ranking.CORRECTION_FILE, ranking.CORRECTION_COLUMNS),
    )
    files = markdown_table(("file", "content"), [(f"`{name}`", text) for name, text in _FILES])
    parts = [_INTRODUCTION, files, _RECORD, *_objects(Record, "")]
    parts += [f"## Table: `{name}`\n\n{_columns(columns)}" for name, columns in tables]
    return "\n".join(parts)


def schema_text() -> str:
    """Render the JSON schema of a record, ending with a newline."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{RECORD} of ltbench, schema version {schema.SCHEMA_VERSION}",
        **json_schema(Record),
    }
    return json.dumps(document, indent=1) + "\n"


def _objects(kind: type[Any], name: str) -> Iterator[str]:
    """Yield a section for a dataclass and for each dataclass nested in it."""
    hints, texts = typing.get_type_hints(kind), field_texts(kind)
    rows, inner = [], []
    for field in dataclasses.fields(kind):
        path = f"{name}.{field.name}" if name else field.name
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        shown = f"`{field.name}`" if required else f"*`{field.name}`*"
        rows.append((shown, _kind(hints[field.name]), texts[field.name]))
        inner += [(one, f"{path}{_index(hints[field.name])}") for one in _dataclasses(hints[field.name])]
    title = f"### `{name}`\n\n{kind.__doc__}\n\n" if name else ""
    yield title + markdown_table(("field", "value", "meaning"), rows)
    for one, path in inner:
        yield from _objects(one, path)


def _dataclasses(hint: Any) -> list[type[Any]]:
    """Dataclasses in a type, e.g. of the members of a tuple."""
    if dataclasses.is_dataclass(hint):
        return [typing.cast(type[Any], hint)]
    return [one for argument in typing.get_args(hint) for one in _dataclasses(argument)]


def _index(hint: Any) -> str:
    """Suffix of a path for the members of a list or an object."""
    return {tuple: "[]", Mapping: ".*"}.get(typing.get_origin(hint), "")


def _kind(hint: Any) -> str:
    """Describe a type without an article."""
    return description(hint).removeprefix("a ").removeprefix("an ")


def _columns(columns: Iterable[Column]) -> str:
    """Render the columns of a table as Markdown."""
    rows = [(f"`{column.name}`", str(column.kind), column.text) for column in columns]
    return markdown_table(("column", "type", "meaning"), rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render a Markdown table, ending with a newline."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def main() -> None:
    """Write the page and the JSON schema."""
    PAGE.write_text(page(), encoding="utf-8")
    JSON_SCHEMA.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
