"""Everything that is shown, as files: parquet and CSV of all numbers, CSV, LaTeX and BibTeX of each table."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ltbench.reports.export import bibtex
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.numbers import Number
from ltbench.reports.page import File, Page, Site
from ltbench.results.record import ViewLossRecord
from ltbench.results.store import StoredCell


def build(site: Site) -> Iterable[File]:
    summary, runs = _summary(site.sheets), _runs(site.material.cells)
    # Brotli at its best is a tenth smaller, but for long texts takes half a minute.
    yield File("data/summary.parquet", _parquet(summary, "brotli", 11))
    yield File("data/runs.parquet", _parquet(runs, "zstd", 19))
    entries = "\n".join(bibtex(sheet.board) for sheet in site.sheets)
    unique = dict.fromkeys(entry.strip() for entry in entries.split("\n\n") if entry.strip())
    yield File("data/all.bib", ("\n\n".join(unique) + "\n").encode())
    yield site.page(
        "data.html", "data", PAGE, counts=(len(summary), len(runs)), views=views(site.material.cells)
    )


@dataclass(frozen=True)
class ViewLoss:
    """Test images and defects of a data set that a view leaves out; shares are means over categories."""

    dataset: str
    view: str
    area: float
    pixels: float | None
    """Share of the defects' pixels; None where no category has masks."""
    regions: tuple[int, int]
    """Connected regions of the masks without a pixel in the view, and all."""
    defects: tuple[int, int]
    """Defective images without a marked pixel in the view, and all with a mask."""


def views(cells: Iterable[StoredCell]) -> list[ViewLoss]:
    """Return one entry per data set and view, of the cell that tests the most defects."""
    largest: dict[tuple[str, str], Sequence[ViewLossRecord]] = {}
    for cell in cells:
        key = (cell.record.dataset.title, cell.record.cell.view.text)
        losses = cell.record.view_loss
        if losses and _defects(losses) >= _defects(largest.get(key, ())):
            largest[key] = losses
    return [_view_loss(*key, losses) for key, losses in sorted(largest.items())]


def _defects(losses: Sequence[ViewLossRecord]) -> int:
    return sum(loss.defects for loss in losses)


def _view_loss(dataset: str, view: str, losses: Sequence[ViewLossRecord]) -> ViewLoss:
    pixels = [loss.pixels for loss in losses if loss.defects]
    return ViewLoss(
        dataset,
        view,
        float(np.mean([loss.area for loss in losses])),
        float(np.mean(pixels)) if pixels else None,
        (sum(loss.hidden_regions for loss in losses), sum(loss.regions for loss in losses)),
        (sum(loss.hidden_defects for loss in losses), _defects(losses)),
    )


def _summary(sheets: Iterable[Sheet]) -> pd.DataFrame:
    return pd.DataFrame(list(_summary_rows(sheets)), columns=list(SUMMARY_COLUMNS))


SUMMARY_COLUMNS = (
    "dataset", "split", "overlap_policy", "method", "config_digest", "metric", "group", "category",
    "mean", "sd", "ci_low", "ci_high", "rank", "rank_low", "rank_high", "tie_group", "p",
    "seeds", "asked", "why",
)  # fmt: skip
"""Scores are fractions; `category` is set where `group` is empty."""


def _summary_rows(sheets: Iterable[Sheet]) -> Iterator[tuple[Any, ...]]:
    for sheet in sheets:
        board = sheet.board
        where = (board.dataset, board.split, board.overlap_policy)
        tables = [(table, False) for table in sheet.metrics] + [(table, True) for table in sheet.classes]
        for table, of_category in tables:
            for line in table.lines:
                entry = line.entry
                for number, column in zip(line.numbers, table.columns, strict=True):
                    metric, _, name = column.key.partition(".")
                    place = ("", name) if of_category else (name, "")
                    seeds = (len(entry.finished), len(entry.asked))
                    # Seeds of a single category are in the results; here they would be most of the file.
                    ends = None if of_category else number.interval
                    value = (number.mean, number.sd, *(ends or (None, None)), *_stands(number))
                    yield (
                        *where,
                        entry.method,
                        entry.config_digest,
                        metric,
                        *place,
                        *value,
                        *seeds,
                        number.why,
                    )


def _stands(number: Number) -> tuple[float | None, ...]:
    one = number.standing
    if one is None:
        return (None,) * 5
    return (
        one.rank,
        one.rank_low,
        one.rank_high,
        one.tier,
        None if math.isnan(one.p) else one.p,
    )


def _runs(cells: Iterable[StoredCell]) -> pd.DataFrame:
    """One line per run with its record as JSON.

    Without the digests of the cell's own files, which a site does not hold: they hardly shrink.
    """
    identity = ("dataset", "split", "seed", "method", "config_digest")
    rows = [
        {
            **{key: getattr(cell.record.identity, key) for key in identity},
            "status": str(cell.status),
            "record": json.dumps({k: v for k, v in cell.content.items() if k != "files"}, sort_keys=True),
        }
        for cell in cells
    ]
    return pd.DataFrame(rows, columns=[*identity, "status", "record"])


_BITS = {"sd": 10, "ci_low": 14, "ci_high": 14, "p": 10}
"""Five digits of a mean are 17 bits, four of an interval's ends 14, three of a spread or a p-value 10."""


def _parquet(frame: pd.DataFrame, compression: str, level: int) -> bytes:
    kept = {name: _BITS.get(name, 17) for name in frame.select_dtypes("float64")}
    frame = frame.assign(**{name: shortened(frame[name], bits) for name, bits in kept.items()})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [pa.field(f.name, pa.float32()) if pa.types.is_float64(f.type) else f for f in table.schema]
    table = table.cast(pa.schema(fields)).replace_schema_metadata(None)
    buffer = io.BytesIO()
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    # Bytes of equal significance side by side: numbers that hardly repeat shrink by a third.
    pq.write_table(
        table,
        buffer,
        compression=compression,
        compression_level=level,
        use_dictionary=[name for name in table.column_names if name not in floats],
        use_byte_stream_split=floats,
    )
    return buffer.getvalue()


def shortened(values: pd.Series[float], bits: int) -> pd.Series[float]:
    """Round to `bits` bits after the leading one (17: 0.0004 % of the value), so that a zip is smaller."""
    lost = np.uint32(1 << (23 - bits))
    whole = values.to_numpy(dtype=np.float32).view(np.uint32)
    rounded = (whole + lost // np.uint32(2)) & ~(lost - np.uint32(1))
    return pd.Series(rounded.view(np.float32), index=values.index)


PAGE = Page("data", "Data", 5, build=build)
