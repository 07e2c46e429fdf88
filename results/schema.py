"""Columns of result tables: one row per cell, category and metric, and one row per test image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from ltbench.results.errors import ResultsError

SCHEMA_VERSION = 2
"""Number raised when a column or field of the record changes its meaning; `results.upgrade` reads older ones.

2: the record holds the requested cell ("cell") and the parameters of its split ("split.parameters").
"""


class Column(NamedTuple):
    """Column of a result table."""

    name: str
    kind: pa.DataType
    text: str
    """Meaning and unit."""


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """Build the Arrow schema of columns."""
    return pa.schema([(column.name, column.kind) for column in columns])


METRIC_COLUMNS = (
    Column("schema_version", pa.int16(), "Version of the layout of results"),
    Column("dataset", pa.string(), "Name of the data set"),
    Column("data_digest", pa.string(), "sha256 of the data set's files"),
    Column("split", pa.string(), 'Name of the split, such as "step_k4"'),
    Column("split_digest", pa.string(), "sha256 of the training and test lists"),
    Column("overlap", pa.int32(), "Number of injected defects that are also in the test list"),
    Column("seed", pa.int32(), "Seed of split and method"),
    Column("method", pa.string(), "Name of the method"),
    Column(
        "method_version", pa.int32(), "Version number, raised by each change of the code that changes results"
    ),
    Column(
        "config_digest", pa.string(), "sha256 of method, version, fields, weights, view and overlap policy"
    ),
    Column("needs", pa.string(), "Information beyond pixels that the method was given, a comma list"),
    Column("backbone", pa.string(), "Network that computes the features"),
    Column("weights_digest", pa.string(), "sha256 of the pretrained weights"),
    Column("view", pa.string(), 'Evaluation resolution, such as "resize256-crop224"'),
    Column("category", pa.string(), "Name of the category"),
    Column("group", pa.string(), '"head", "tail", "high", "low" or ""'),
    Column("n_train", pa.int32(), "Training images of the category: good ones and injected defects"),
    Column("n_train_defects", pa.int32(), "Injected defects of the category"),
    Column("n_test_good", pa.int32(), "Good test images of the category"),
    Column("n_test_defects", pa.int32(), "Defective test images of the category"),
    Column("metric", pa.string(), "Name of the metric"),
    Column("recipe", pa.string(), "Exact definition of the metric"),
    Column("value", pa.float64(), "Value as a fraction, 0 to 1; null if it could not be computed"),
    Column("why", pa.string(), "Reason of a missing value"),
    Column("note", pa.string(), "Caution about a value, such as defects that the view does not show"),
    Column("ci_low", pa.float64(), "Lower end of the confidence interval; null if none was computed"),
    Column("ci_high", pa.float64(), "Upper end of the confidence interval"),
    Column("status", pa.string(), '"ok", or how the run failed'),
    Column("error", pa.string(), "Reason of a failure"),
    Column("fit_seconds", pa.float64(), "Time of fitting in seconds"),
    Column("score_ms_per_image", pa.float64(), "Time of scoring one test image in milliseconds"),
    Column("peak_rss_mb", pa.float64(), "Peak memory of the process in MB"),
    Column("peak_vram_mb", pa.float64(), "Peak memory of the GPU in MB"),
    Column("memory_bank_mb", pa.float64(), "Size of the memory bank in MB, as reported by the method"),
    Column("device", pa.string(), 'Device that computed: "cpu", "cuda"'),
    Column("host", pa.string(), "Name of the machine"),
    Column("python", pa.string(), "Version of Python"),
    Column("torch", pa.string(), "Version of torch"),
    Column("packages", pa.string(), "Versions of packages, JSON"),
    Column("git_commit", pa.string(), "Commit of ltbench"),
    Column("git_dirty", pa.bool_(), "Whether the checkout had uncommitted changes"),
    Column("started_at", pa.string(), "Start, ISO 8601, UTC"),
    Column("source", pa.string(), '"measured"'),
)
METRICS = schema_of(METRIC_COLUMNS)

SCORE_COLUMNS = (
    Column("key", pa.string(), "Hash of the image's path"),
    Column("category", pa.string(), "Name of the category"),
    Column("defect", pa.string(), 'Type of the defect; "" for a good image'),
    Column("label", pa.bool_(), "True for a defective image"),
    Column("injected", pa.bool_(), "True for an image that was also in the training list"),
    Column("score", pa.float32(), "Anomaly score, higher is more anomalous"),
)
SCORES = schema_of(SCORE_COLUMNS)

CURVE_COLUMNS = (
    Column("category", pa.string(), "Name of the category"),
    Column("curve", pa.string(), '"pro": mean overlap of the defect regions'),
    Column("false_positives", pa.float32(), "Rate of false positives, 0 to 0.3"),
    Column("covered", pa.float32(), "Mean share of the pixels of each defect region that are found"),
)
CURVES = schema_of(CURVE_COLUMNS)


def table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table of exactly this schema; missing columns are null, unknown ones raise ResultsError."""
    rows = list(rows)
    unknown = {name for row in rows for name in row} - set(schema.names)
    if unknown:
        raise ResultsError(f"unknown result columns {sorted(unknown)}: expected some of {schema.names}")
    complete = [{name: row.get(name) for name in schema.names} for row in rows]
    return pa.Table.from_pylist(complete, schema=schema)
