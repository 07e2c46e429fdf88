"""The published comparison: results/parity.csv, which the site shows, and docs/parity.md."""

from __future__ import annotations

from collections.abc import Sequence

from parity.case import Outcome


def write_report(outcomes: Sequence[Outcome], *, whole: bool) -> None:
    """Replace the rows of the compared methods in the data file and make the document again."""
    raise SystemExit("not yet")
