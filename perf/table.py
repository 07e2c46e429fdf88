"""Tables of what was measured: for the terminal, for files and for the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich.table import Table

from perf.comparison import Row
from perf.performance import Performance

HEADINGS = ("side", "seconds", "rounds", "time / ours", "peak MB", "memory / ours", "differs by", "")
VERSIONED = ("load",)
"""Facts of a machine that change from minute to minute."""


def table_of(rows: Sequence[Row]) -> Table:
    """The sides of one comparison, and under them what limits ours."""
    limits = [
        f"limit: {row.limit}" + (f", {100 * row.share:.0f} % reached" if row.share is not None else "")
        for row in rows
        if row.limit
    ]
    table = Table(
        title=f"{rows[0].comparison}: {rows[0].size}",
        title_justify="left",
        caption="; ".join(limits) or None,
        caption_justify="left",
    )
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("side", "") else "right")
    for row in rows:
        table.add_row(
            row.side,
            "" if row.seconds is None else f"{row.seconds:.4f}",
            str(row.rounds or ""),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.peak_mb is None else f"{row.peak_mb:.0f}",
            "" if row.memory_ratio is None else f"{row.memory_ratio:.2f}",
            "" if row.difference is None else f"{row.difference:.1e}",
            row.verdict,
            style="bold" if row.ours else None,
        )
    return table


def stored_rows(rows: Iterable[Row], when: str, load: str) -> list[dict[str, Any]]:
    """Rows with the columns of a results folder's file."""
    return [
        {**asdict(row), "answer": json.dumps(dict(row.answer)), "measured_at": when, "load": load}
        for row in rows
    ]


def merged(
    earlier: Performance | None,
    rows: Sequence[Mapping[str, Any]],
    machine: Mapping[str, str],
    order: Sequence[str],
) -> list[Mapping[str, Any]]:
    """`rows` and, if they were measured on the same machine with the same versions, the comparisons of
    `earlier` that were not measured anew; in the order of the names.
    """
    now = {row["comparison"] for row in rows}
    kept: list[Mapping[str, Any]] = []
    if earlier is not None and _lasting(earlier.machine) == _lasting(machine):
        found = earlier.rows.astype(object).where(earlier.rows.notna(), None).to_dict("records")
        kept = [row for row in found if row["comparison"] not in now and row["comparison"] in order]
    return sorted([*kept, *rows], key=lambda row: order.index(row["comparison"]))


def _lasting(machine: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in machine.items() if name not in VERSIONED}


def markdown(found: Performance) -> str:
    """The table of the documentation."""
    lines = [
        "| comparison | beside | time / ours | memory / ours | target | answers differ by | ours | limit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for comparison, rows in found.rows.groupby("comparison", sort=False):
        own = rows[rows["ours"]].iloc[0]
        seconds = "" if pd.isna(own["seconds"]) else f"{_short(own['seconds'])} s"
        memory = "" if pd.isna(own["peak_mb"]) else f", {own['peak_mb']:.0f} MB"
        share = "" if pd.isna(own["share"]) else f"{100 * own['share']:.0f} %, {own['limit']}"
        others = rows[~rows["ours"]]
        first = f"**{comparison}**: {own['size']}"
        ends = f"{seconds}{memory} | {share}"
        if others.empty:
            lines.append(f"| {first} | | | | {own['target']}: {own['verdict']} | | {ends} |")
        for _, row in others.iterrows():
            lines.append(_line(first, row, ends))
            first, ends = "", " | "
    return "\n".join(lines) + "\n"


def _line(first: str, row: pd.Series[Any], ends: str) -> str:
    target = ": ".join(text for text in (row["target"], row["verdict"]) if text not in ("", "ok"))
    ratio, memory, apart = (
        "" if pd.isna(row[name]) else text.format(row[name])
        for name, text in (("ratio", "{:.3g}"), ("memory_ratio", "{:.3g}"), ("difference", "{:.0e}"))
    )
    return f"| {first} | {row['side']} | {ratio} | {memory} | {target} | {apart} | {ends} |"


def _short(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"
