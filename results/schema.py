"""The columns of a result: one row per cell, category and metric, and one row per tested image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from ltbench.results.errors import ResultsError

SCHEMA_VERSION = 2
"""Raised when a column or a field of the record changes its meaning; `results.upgrade` reads older records.

2: the record holds the cell as it was asked for ("cell") and the numbers of its split ("split.parameters").
"""


METRICS = pa.schema(
    [
        ("schema_version", pa.int16()),
        ("dataset", pa.string()),
        ("data_digest", pa.string()),
        ("split", pa.string()),  # recipe name, e.g. "step_k4"
        ("split_digest", pa.string()),
        ("overlap", pa.int32()),  # injected defects that are also tested
        ("seed", pa.int32()),
        ("method", pa.string()),
        ("method_version", pa.int32()),
        ("config_digest", pa.string()),
        ("needs", pa.string()),  # comma list: what the method was told beyond pixels
        ("backbone", pa.string()),
        ("weights_digest", pa.string()),
        ("view", pa.string()),  # evaluation resolution, e.g. "resize256-crop224"
        ("category", pa.string()),
        ("group", pa.string()),  # "head", "tail", "high", "low" or ""
        ("n_train", pa.int32()),  # good images and injected defects
        ("n_train_defects", pa.int32()),
        ("n_test_good", pa.int32()),
        ("n_test_defects", pa.int32()),
        ("metric", pa.string()),
        ("recipe", pa.string()),
        ("value", pa.float64()),  # 0..1; null = could not be computed, see `why`
        ("why", pa.string()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("fit_seconds", pa.float64()),
        ("score_ms_per_image", pa.float64()),
        ("peak_rss_mb", pa.float64()),
        ("peak_vram_mb", pa.float64()),
        ("memory_bank_mb", pa.float64()),
        ("device", pa.string()),
        ("host", pa.string()),
        ("python", pa.string()),
        ("torch", pa.string()),
        ("packages", pa.string()),  # JSON: name -> version
        ("git_commit", pa.string()),
        ("git_dirty", pa.bool_()),
        ("started_at", pa.string()),  # ISO 8601, UTC
        ("source", pa.string()),  # "measured"
    ]
)

SCORES = pa.schema(
    [
        ("key", pa.string()),
        ("category", pa.string()),
        ("defect", pa.string()),  # "" = good
        ("label", pa.bool_()),  # True = defective
        ("injected", pa.bool_()),  # True = the same image was also in the training list
        ("score", pa.float32()),
    ]
)

CURVES = pa.schema(
    [
        ("category", pa.string()),
        ("curve", pa.string()),  # "pro": the mean overlap of defect regions
        ("false_positives", pa.float32()),  # rate, 0..0.3
        ("covered", pa.float32()),
    ]
)


def table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table of exactly this schema; a missing column is null, an unknown one is an error."""
    rows = list(rows)
    unknown = {name for row in rows for name in row} - set(schema.names)
    if unknown:
        raise ResultsError(f"unknown result columns {sorted(unknown)}: expected some of {schema.names}")
    complete = [{name: row.get(name) for name in schema.names} for row in rows]
    return pa.Table.from_pylist(complete, schema=schema)
