"""Measured speed and memory of ltbench's kernels and of their peers, as one file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ltbench.results.errors import ResultsError
from ltbench.results.files import write_place
from ltbench.results.places import Place, readable

PERFORMANCE_FILE = "performance.parquet"
PERFORMANCE_VERSION = 1
_FACTS = b"ltbench.performance"

PERFORMANCE = pa.schema(
    [
        ("comparison", pa.string()),
        ("size", pa.string()),  # description of the inputs
        ("side", pa.string()),  # ltbench or the peer
        ("ours", pa.bool_()),
        ("seconds", pa.float64()),
        ("rounds", pa.int32()),
        ("ratio", pa.float64()),  # time of this side over that of ltbench
        ("peak_mb", pa.float64()),
        ("memory_ratio", pa.float64()),
        ("difference", pa.float64()),  # between the results of this side and of ltbench
        ("verdict", pa.string()),
        ("target", pa.string()),
        ("limit", pa.string()),  # hardware limit of ltbench's side
        ("share", pa.float64()),  # time at that limit over the time of ltbench
        ("answer", pa.string()),  # JSON
        ("measured_at", pa.string()),
        ("load", pa.string()),  # load of the machine over the last minute
    ]
)


@dataclass(frozen=True, eq=False)
class Performance:
    """Comparisons of ltbench with its peers, measured on one machine."""

    rows: pd.DataFrame
    """Columns of PERFORMANCE, grouped by comparison, ltbench first."""
    machine: Mapping[str, str]
    ceilings: Mapping[str, str]
    """Hardware limits of the machine, as text by name."""
    is_brief: bool = False
    """True if the inputs were small: answers were compared, times are meaningless."""


def write_performance(
    path: Place,
    rows: Iterable[Mapping[str, Any]],
    *,
    machine: Mapping[str, str],
    ceilings: Mapping[str, str],
    is_brief: bool = False,
) -> None:
    """Write measurements to a file.

    Args:
        path: File to write.
        rows: Rows with the columns of PERFORMANCE.
        machine: Description of the machine.
        ceilings: Hardware limits, as text by name.
        is_brief: Whether the inputs were small: answers were compared, times say nothing.
    """
    facts = {
        "schema_version": PERFORMANCE_VERSION,
        "machine": dict(machine),
        "ceilings": dict(ceilings),
        "is_brief": is_brief,
    }
    table = pa.Table.from_pylist([dict(row) for row in rows], PERFORMANCE)
    table = table.replace_schema_metadata({_FACTS: json.dumps(facts).encode()})
    write_place(path, lambda file: pq.write_table(table, file))


def read_performance(path: Place) -> Performance | None:
    """Read measurements; None without a file. Raises ResultsError if the file is damaged or too new."""
    if not path.exists():
        return None
    try:
        table = pq.read_table(readable(path))
        facts = json.loads((table.schema.metadata or {})[_FACTS])
        version = facts["schema_version"]
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise ResultsError(f"cannot read '{path}' ({error}): expected what 'make perf' writes") from error
    if version > PERFORMANCE_VERSION:
        raise ResultsError(
            f"'{path}' has schema version {version!r}, this ltbench reads up to {PERFORMANCE_VERSION}: "
            "update ltbench"
        )
    rows: pd.DataFrame = table.to_pandas()
    return Performance(rows, facts["machine"], facts["ceilings"], facts["is_brief"])
