"""Record of the data-set licences that the user has accepted, in the home folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from ltbench.atomic_files import write_atomically
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.errors import DataMissing, SplitsError

FILE = "licences.json"


def accepted(home: Path) -> dict[str, dict[str, str]]:
    """Read the accepted licences and their times by data set. Raises SplitsError if the record is damaged."""
    file = home / FILE
    if not file.is_file():
        return {}
    try:
        record: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SplitsError(
            f"record of licences '{file}' is damaged (line {error.lineno}): delete it and accept again"
        ) from error
    return record


def accept_licence(facts: Facts, home: Path, now: datetime | None = None) -> Path:
    """Record that the user accepts a data set's licence; returns the file of the record.

    Args:
        facts: Facts of the data set.
        home: Home folder of ltbench.
        now: Time of acceptance; None = the current time.
    """
    record = accepted(home)
    file = home / FILE
    if record.get(facts.name, {}).get("licence") == facts.licence:
        return file
    record[facts.name] = {
        "licence": facts.licence,
        "address": facts.address,
        "accepted_at": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
    }
    write_atomically(file, (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())
    return file


def require_licence(facts: Facts, home: Path) -> None:
    """Raise DataMissing unless the current licence of the data set was accepted."""
    if accepted(home).get(facts.name, {}).get("licence") != facts.licence:
        raise DataMissing(
            f"the licence of '{facts.name}' ({facts.title}: {facts.licence}, {facts.address}) is not "
            f"accepted on this machine: read it, then run `ltbench data fetch {facts.name} --accept-licence`"
        )
