"""Training images ranked by suspicion, kept with the cell that was asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ltbench.results.errors import ResultsError
from ltbench.results.files import write_place
from ltbench.results.places import readable
from ltbench.results.store import StoredCell

RANKING_FILE = "ranking.parquet"
CORRECTION_FILE = "label_correction.parquet"

RANKING = pa.schema(
    [
        ("key", pa.string()),
        ("path", pa.string()),  # relative to the data set's root
        ("category", pa.string()),
        ("defect", pa.string()),  # "" = good
        ("injected", pa.bool_()),  # True = a defect among the training images
        ("score", pa.float32()),  # higher = more suspicious
        ("place", pa.int32()),  # in its category, 1 = to be looked at first
    ]
)

CORRECTION = pa.schema(
    [
        ("category", pa.string()),
        ("n_train", pa.int32()),
        ("n_injected", pa.int32()),
        ("auprc", pa.float64()),  # average precision of finding the injected defects, null = see `why`
        ("auprc_floor", pa.float64()),  # of a ranking that knows nothing: the share of injected defects
        ("depth", pa.float64()),  # share of the images to look at until the last injected defect is found
        ("depth_floor", pa.float64()),  # of a perfect ranking: the same share
        ("why", pa.string()),
    ]
)

MEASURES = ("auprc", "depth")


def has_ranking(cell: StoredCell) -> bool:
    """Whether this cell's run ranked its training images."""
    return RANKING_FILE in cell.content.get("files", {})


def ranking(cell: StoredCell) -> pd.DataFrame:
    """Rows of RANKING by category and place. Raises ResultsError if the cell has none."""
    return _read(cell, RANKING_FILE)


def label_correction(cell: StoredCell) -> pd.DataFrame:
    """Rows of CORRECTION, one per category. Raises ResultsError if the cell has none."""
    return _read(cell, CORRECTION_FILE)


def summary(correction: pd.DataFrame) -> dict[str, Any]:
    """Mean and sample standard deviation over the categories that have a value, and how many those are.

    `<measure>_mean` is None without any category, `<measure>_std` (n - 1 in the denominator) with fewer
    than two: a class without injected defects has nothing to be found.
    """
    facts: dict[str, Any] = {"categories": len(correction)}
    for measure in MEASURES:
        values = correction[measure].dropna()
        facts[f"{measure}_categories"] = len(values)
        facts[f"{measure}_mean"] = float(values.mean()) if len(values) else None
        facts[f"{measure}_std"] = float(values.std(ddof=1)) if len(values) > 1 else None
    return facts


def export_ranking(cell: StoredCell, out: Path, *, truth: bool = False, limit: int | None = None) -> int:
    """Write a CSV that a person can work through from the top; returns the number of rows.

    The most suspicious image of every category comes first, then the second ones, so that whoever stops has
    looked equally deep everywhere. `limit`: places per category; None = all. The column "decision" is empty,
    for the person to fill in; `truth` adds what the benchmark knows. Raises ResultsError without a ranking.
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
    if name not in cell.content.get("files", {}):
        raise ResultsError(
            f"the cell '{cell.folder}' has no ranking of its training images: run it with --rank-training"
        )
    frame: pd.DataFrame = pq.ParquetFile(readable(cell.folder / name)).read().to_pandas()
    return frame
