"""Training images ranked by anomaly score, stored with a cell for active label correction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ltbench.results.errors import ResultsError
from ltbench.results.files import write_place
from ltbench.results.places import readable
from ltbench.results.schema import Column, schema_of
from ltbench.results.store import StoredCell

RANKING_FILE = "ranking.parquet"
CORRECTION_FILE = "label_correction.parquet"

RANKING_COLUMNS = (
    Column("key", pa.string(), "Hash of the image's path"),
    Column("path", pa.string(), "Path below the data set's root"),
    Column("category", pa.string(), "Name of the category"),
    Column("defect", pa.string(), 'Type of the defect; "" for a good image'),
    Column("injected", pa.bool_(), "True for a defect among the training images"),
    Column("score", pa.float32(), "Anomaly score, higher is more anomalous"),
    Column("place", pa.int32(), "Rank within the category; 1 is the most anomalous"),
)
RANKING = schema_of(RANKING_COLUMNS)

CORRECTION_COLUMNS = (
    Column("category", pa.string(), "Name of the category"),
    Column("n_train", pa.int32(), "Training images of the category"),
    Column("n_injected", pa.int32(), "Injected defects among them"),
    Column(
        "auprc",
        pa.float64(),
        "Average precision of finding the injected defects; null with a reason in `why`",
    ),
    Column(
        "auprc_floor", pa.float64(), "Average precision of a random ranking: the share of injected defects"
    ),
    Column("depth", pa.float64(), "Share of the images to inspect until the last injected defect is found"),
    Column("depth_floor", pa.float64(), "Depth of a perfect ranking: the share of injected defects"),
    Column("why", pa.string(), "Reason of a missing value"),
)
CORRECTION = schema_of(CORRECTION_COLUMNS)

MEASURES = ("auprc", "depth")


def has_ranking(cell: StoredCell) -> bool:
    """Whether a cell has a ranking of its training images."""
    return RANKING_FILE in cell.content.get("files", {})


def ranking(cell: StoredCell) -> pd.DataFrame:
    """Read the rows of RANKING by category and rank. Raises ResultsError if the cell has none."""
    return _read(cell, RANKING_FILE)


def label_correction(cell: StoredCell) -> pd.DataFrame:
    """Read the rows of CORRECTION, one per category. Raises ResultsError if the cell has none."""
    return _read(cell, CORRECTION_FILE)


def summary(correction: pd.DataFrame) -> dict[str, Any]:
    """Summarise measures over the categories that have a value, i.e. those with injected defects.

    Returns:
        For each measure, the number of such categories, the mean (None without one) and the sample standard
        deviation (n - 1 in the denominator; None with fewer than two).
    """
    facts: dict[str, Any] = {"categories": len(correction)}
    for measure in MEASURES:
        values = correction[measure].dropna()
        facts[f"{measure}_categories"] = len(values)
        facts[f"{measure}_mean"] = float(values.mean()) if len(values) else None
        facts[f"{measure}_std"] = float(values.std(ddof=1)) if len(values) > 1 else None
    return facts


def export_ranking(cell: StoredCell, out: Path, *, truth: bool = False, limit: int | None = None) -> int:
    """Write a ranking as a CSV for inspection from the top.

    The most anomalous images of all categories come first, then the second ones, so that an inspection that
    stops early covers all categories equally. The column "decision" is left empty for the inspector.

    Args:
        cell: Cell with a ranking.
        out: File to write.
        truth: Add the true label and the type of defect.
        limit: Images per category; None = all.

    Returns:
        Number of rows.

    Raises:
        ResultsError: If the cell has no ranking.
    """
    frame = ranking(cell)
    if limit is not None:
        frame = frame[frame["place"] <= limit]
    frame = frame.sort_values(["place", "category"], kind="stable")
    columns = ["place", "category", "path", "score", "decision"] + (["injected", "defect"] if truth else [])
    text = frame.assign(decision="")[columns].to_csv(index=False, float_format="%.6g")
    write_place(out, lambda file: file.write(text.encode()))
    return len(frame)


def _read(cell: StoredCell, name: str) -> pd.DataFrame:
    """Read a file of the ranking. Raises ResultsError if the cell has none."""
    if name not in cell.content.get("files", {}):
        raise ResultsError(
            f"the cell '{cell.folder}' has no ranking of its training images: run it with --rank-training"
        )
    frame: pd.DataFrame = pq.ParquetFile(readable(cell.folder / name)).read().to_pandas()
    return frame
